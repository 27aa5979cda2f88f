"""Configuration files that are Python programs, as gunicorn's and hypercorn's are: run in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from drawbar.config import OperatorError

PATIENCE_S = 30.0
"""A file that has not ended by then waits for something."""


def run(path: str) -> dict[str, object]:
    """The names `path` defines and their values; raises OperatorError."""
    with tempfile.TemporaryFile() as result:
        command = [sys.executable, "-m", "drawbar.cli.importing.execute", path, str(result.fileno())]
        try:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                # What it prints is no part of what we print.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[result.fileno()],
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OperatorError(f"did not end within {PATIENCE_S:g} s", where=path) from error
        if ended.returncode != 0:
            lines = ended.stderr.decode(errors="replace").strip().splitlines()
            why = lines[-1] if lines else f"exit code {ended.returncode}"
            right = "import it where the server is started, with what it needs installed"
            raise OperatorError(f"cannot be run: {why}", where=path, right=right)
        result.seek(0)
        found: dict[str, object] = json.loads(result.read())
    return found
