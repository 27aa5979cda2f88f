"""Instructions per request of two builds, counted by callgrind: `python benchmarks/instructions.py A/src B/src`.

Processor time varies by a percent from run to run, which is as much as some differences that matter; the number of
instructions hardly does. Each build serves few requests and then many, under valgrind and over one connection, and the
difference is what a request takes. System calls count for nothing here, and neither does reading the clock, which is
one under valgrind.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import apps  # noqa: E402 - the path above comes first
from benchmarks.measure import MeasurementFailed  # noqa: E402
from benchmarks.process import HERE, HOST  # noqa: E402

FEW = 2_000
MANY = 12_000
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BOOT_TIMEOUT_S = 60.0


PROGRAM = """
import socket
from drawbar.config import AppConfig, Config
from drawbar.net.scoreboard import Scoreboard
from drawbar.supervisor.worker.life import run_worker

listener = socket.create_server(("127.0.0.1", 0))
board = Scoreboard.create(1)
cell = board.cell(board.claim(1, 1))
config = Config(app=AppConfig(target="apps:hello"))
run_worker(config, [listener], 1, lambda line: print(listener.getsockname()[1], flush=True), cell)
"""
"""A worker without its master: valgrind keeps the signal for itself by which a child hears of its parent's death."""


def instructions(source: str, requests: int) -> int:
    """Of a worker built in `source`, from start to end, with so many requests between."""
    with tempfile.TemporaryDirectory(prefix="drawbar-bench-") as scratch:
        out = Path(scratch, "out")
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-c", PROGRAM]
        env = os.environ | {"PYTHONPATH": source, "PYTHONHASHSEED": "0"}
        with subprocess.Popen(
            command, cwd=HERE, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as worker:
            try:
                assert worker.stdout is not None
                port = worker.stdout.readline()
                if not port:
                    raise MeasurementFailed("the worker did not start under valgrind")
                ask(int(port), requests)
            finally:
                worker.terminate()
        return total(out.read_text())


def ask(port: int, requests: int) -> None:
    """One after the other, on one connection."""
    with socket.create_connection((HOST, port), BOOT_TIMEOUT_S) as connection:
        for _ in range(requests):
            connection.sendall(REQUEST)
            answer = b""
            while not answer.endswith(apps.BODY):
                received = connection.recv(4096)
                if not received:
                    raise MeasurementFailed("the connection was closed")
                answer += received


def total(text: str) -> int:
    """The sum of a callgrind file."""
    found = re.search(r"^(?:totals|summary): (\d+)", text, re.MULTILINE)
    if found is None:
        raise MeasurementFailed("callgrind left no sum")
    return int(found[1])


def main(sources: Sequence[str]) -> int:
    """A line for each build, the last with its ratio to the first."""
    per_request = [(instructions(source, MANY) - instructions(source, FEW)) / (MANY - FEW) for source in sources]
    for source, count in zip(sources, per_request, strict=True):
        print(f"{source}: {count:,.0f} instructions a request, {100 * (count / per_request[0] - 1):+.2f} %")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
