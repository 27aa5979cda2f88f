"""Watching sources for development: a child process that reports which file changed.

The master neither imports the application nor walks directories; it hears one line for each batch of changes. The
watcher uses watchfiles (inotify) where it is installed, and otherwise compares modification times.

What is watched are the files of SUFFIXES under the given directories, without SKIPPED and hidden ones.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec

from drawbar.config import Config
from drawbar.supervisor.child import READY, Report

SUFFIXES = (".py", ".pyi", ".html", ".jinja", ".jinja2", ".toml", ".env", ".mo")
"""What an application is made of; a style sheet or script is read anew for each request anyway."""

SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "build", "dist"})

POLL_INTERVAL_S = 0.5
"""Between two looks at the files where there is no inotify: seldom enough to cost little."""

MAX_FILES = 50_000
"""Files looked at; the rest of a larger tree is not watched, for each look would take seconds."""

Snapshot = dict[str, tuple[int, int]]
"""Path -> modification time in ns, and size."""


def watched_directories(config: Config) -> list[str]:
    """The directories an operator named, else where the application is imported from."""
    given = config.server.reload_dirs or (config.app.chdir or ".",)
    return [os.path.abspath(directory) for directory in given]


def watch(directories: list[str], report: Report) -> int:
    """Reports "ready", then the path of a changed file, one for each batch, until the process is killed."""
    batches = notified(directories) if find_spec("watchfiles") else polled(directories, _pause)
    started = False
    for batch in batches:
        if not started:
            report(READY)
            started = True
        if batch:
            report(min(batch))
    return 0


def is_source(path: str) -> bool:
    """Whether a change of this file is one of the application."""
    name = os.path.basename(path)
    # Editors write their backup and lock files as hidden ones.
    return name.endswith(SUFFIXES) and (not name.startswith(".") or name == ".env")


def is_skipped(directory: str) -> bool:
    """Whether a directory of this name is left out with all below it."""
    return directory in SKIPPED or directory.startswith(".")


def snapshot(directories: Iterable[str]) -> Snapshot:
    """The sources as they are now."""
    found: Snapshot = {}
    for path in _sources(directories):
        try:
            status = os.stat(path)
        except OSError:
            continue  # Removed since it was listed.
        found[path] = (status.st_mtime_ns, status.st_size)
        if len(found) >= MAX_FILES:
            break
    return found


def difference(before: Snapshot, after: Snapshot) -> list[str]:
    """Paths that are new, gone or other than before."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _sources(directories: Iterable[str]) -> Iterator[str]:
    for top in directories:
        for directory, below, names in os.walk(top):
            below[:] = [name for name in below if not is_skipped(name)]
            yield from (os.path.join(directory, name) for name in names if is_source(name))


def polled(directories: list[str], pause: Callable[[], None]) -> Iterator[list[str]]:
    """Batches of changed paths, some empty, the first when watching has begun; `pause` parts the looks."""
    before = snapshot(directories)
    yield []
    while True:
        pause()
        after = snapshot(directories)
        yield difference(before, after)
        before = after


def _pause() -> None:
    time.sleep(POLL_INTERVAL_S)


def notified(directories: list[str]) -> Iterator[list[str]]:
    """The same from inotify, by way of watchfiles."""
    from watchfiles import watch as watch_files

    def wanted(_change: object, path: str) -> bool:
        top = next((top for top in directories if path.startswith(top)), "")
        folders = os.path.dirname(path)[len(top) :].split(os.sep)
        return is_source(path) and not any(is_skipped(folder) for folder in folders if folder)

    # The empty batch of the first timeout is the only sign watchfiles gives that it watches.
    interval_ms = int(POLL_INTERVAL_S * 1000)
    for changes in watch_files(*directories, watch_filter=wanted, rust_timeout=interval_ms, yield_on_timeout=True):
        yield [path for _, path in changes]
