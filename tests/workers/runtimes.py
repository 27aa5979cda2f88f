"""The workers, and the application each of them serves in the tests.

All of these applications answer the same requests in the same way, so that one test asks all of them.
"""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import ROOT

WORKERS = ROOT / "workers"
SITES = Path(__file__).with_name("sites")
RACK3 = ROOT / ".rack3"
"""Where `tools/rack3` puts it."""


@dataclass(frozen=True)
class Runtime:
    """needs: programs and files without which it cannot run. build: makes the command, in a folder of its own."""

    name: str
    needs: tuple[str, ...]
    build: Callable[[Path], tuple[list[str], list[str]]]
    # What its applications can do: take a connection over; end without ending the worker; send a part of a response.
    upgrades: bool = True
    exits: bool = True
    streams: bool = True

    def command(self, folder: Path, url: str, *options: str) -> list[str]:
        """What starts a worker for the application `site`."""
        program, application = self.build(folder)
        return [*program, "--from", url, "--app", "site", *options, *application]


@functools.cache
def go_program() -> str:
    """The Go application, built once; gone with this process."""
    root = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root)
    (root / "drawbar").mkdir()
    (root / "go.mod").write_text("module site\n\ngo 1.19\n")
    (root / "main.go").write_text((SITES / "go/main.go").read_text())
    (root / "drawbar/worker.go").write_text((WORKERS / "go/worker.go").read_text())
    env = {**os.environ, "GOCACHE": str(root / "cache"), "GOPATH": str(root / "path"), "GOPROXY": "off"}
    subprocess.run(["go", "build", "-o", "site", "."], cwd=root, env=env, check=True)
    return str(root / "site")


def ruby_program(*options: str) -> Callable[[Path], tuple[list[str], list[str]]]:
    """The Ruby worker, by an interpreter with these options."""
    command = ["ruby", "-W:no-deprecated", *options, str(WORKERS / "ruby/worker.rb")]
    return lambda folder: (command, [str(SITES / "ruby/config.ru")])


RUBY = Runtime("ruby", ("ruby", "/usr/share/doc/ruby-rack"), ruby_program())
RUBY_RACK3 = Runtime("ruby-rack3", ("ruby", str(RACK3 / "rack.rb")), ruby_program(f"-I{RACK3}"))
PERL = Runtime(
    "perl",
    ("perl", "plackup"),
    lambda folder: (["perl", str(WORKERS / "perl/worker.pl")], [str(SITES / "perl/app.psgi")]),
)
NODE = Runtime(
    "node",
    ("node", "/usr/share/nodejs/express"),
    lambda folder: (["node", str(WORKERS / "node/worker.js")], [str(SITES / "node/server.js")]),
    exits=False,
)
GO = Runtime("go", ("go",), lambda folder: ([go_program()], []), exits=False)
PHP = Runtime(
    "php",
    ("php", "php-cgi"),
    lambda folder: (["php", str(WORKERS / "php/worker.php")], [str(SITES / "php/index.php")]),
    upgrades=False,
    streams=False,
)
RUNTIMES = [RUBY, RUBY_RACK3, PERL, NODE, GO, PHP]
