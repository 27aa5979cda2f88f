"""The workers that serve over lane attach, and the application each of them serves in the tests.

All of these applications answer the same requests in the same way, so that one test asks all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import ROOT

WORKERS = ROOT / "workers"
SITES = Path(__file__).with_name("sites")


@dataclass(frozen=True)
class Runtime:
    """needs: programs and files without which it cannot run. build: makes the command, in a folder of its own."""

    name: str
    needs: tuple[str, ...]
    build: Callable[[Path], tuple[list[str], list[str]]]
    # What its applications can do: take the connection over; end without ending the worker.
    upgrades: bool = True
    exits: bool = True

    def command(self, folder: Path, url: str, *options: str) -> list[str]:
        """What starts a worker for the application `site`."""
        program, application = self.build(folder)
        return [*program, "--from", url, "--app", "site", *options, *application]


RUBY = Runtime(
    "ruby",
    ("ruby", "/usr/share/doc/ruby-rack"),
    lambda folder: (["ruby", "-W:no-deprecated", str(WORKERS / "ruby/worker.rb")], [str(SITES / "ruby/config.ru")]),
)
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
RUNTIMES = [RUBY, PERL, NODE]
