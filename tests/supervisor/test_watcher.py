"""Reload in development: what is watched, and what becomes of the workers when it changes."""

import os
import signal
from pathlib import Path

import pytest

from drawbar.config import AppConfig, Config, ServerConfig
from drawbar.supervisor.watcher import difference, is_skipped, is_source, polled, snapshot, watched_directories
from tests.supervisor.harness import Serving, ends


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("app.py", True),
        ("templates/page.html", True),
        ("pyproject.toml", True),
        (".env", True),
        ("app.pyc", False),
        (".#app.py", False),
        ("app.py~", False),
        ("style.css", False),
    ],
)
def test_knows_a_source(path: str, source: bool) -> None:
    assert is_source(path) is source


@pytest.mark.parametrize(("name", "skipped"), [(".git", True), ("__pycache__", True), ("venv", True), ("shop", False)])
def test_leaves_directories_out(name: str, skipped: bool) -> None:
    assert is_skipped(name) is skipped


def test_a_snapshot_holds_the_sources_below(tmp_path: Path) -> None:
    for name in ("app.py", "shop/views.py", "venv/lib.py", ".git/hook.py", "shop/data.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert sorted(snapshot([str(tmp_path)])) == [str(tmp_path / "app.py"), str(tmp_path / "shop/views.py")]


def test_difference_names_new_gone_and_changed() -> None:
    before = {"same": (1, 1), "gone": (1, 1), "touched": (1, 1), "grown": (1, 1)}
    after = {"same": (1, 1), "new": (1, 1), "touched": (2, 1), "grown": (1, 2)}
    assert difference(before, after) == ["gone", "grown", "new", "touched"]


def test_polling_yields_a_batch_for_each_look(tmp_path: Path) -> None:
    module = tmp_path / "app.py"
    edits = iter(["write", "nothing", "unlink"])

    def pause() -> None:
        edit = next(edits)
        if edit == "write":
            module.write_text("a = 1\n")
        elif edit == "unlink":
            module.unlink()

    batches = polled([str(tmp_path)], pause)
    assert [next(batches) for _ in range(4)] == [[], [str(module)], [], [str(module)]]


def test_watches_the_directories_named_else_that_of_the_application(tmp_path: Path) -> None:
    named = ServerConfig(reload_dirs=("/srv/a", "/srv/b"))
    assert watched_directories(Config(server=named)) == ["/srv/a", "/srv/b"]
    assert watched_directories(Config(app=AppConfig(chdir="/srv/app"))) == ["/srv/app"]
    assert watched_directories(Config()) == [os.getcwd()]


def test_a_change_starts_a_new_worker_before_it_stops_the_old(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("a = 1\n")
    with Serving("source", cwd=tmp_path, server={"reload": True}) as serving:
        _, old = serving.event("ready")
        serving.logged("watching for changes")
        (tmp_path / "app.py").write_text("a = 12\n")
        assert "app.py changed: reloading" in serving.logged("changed")
        _, new = serving.event("ready")
        assert new != old
        assert serving.event("stopping")[1] == old
        assert serving.stop() == 0


def test_a_syntax_error_keeps_the_old_worker_and_the_next_change_mends_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("a = 1\n")
    with Serving("source", cwd=tmp_path, server={"reload": True}) as serving:
        _, old = serving.event("ready")
        serving.logged("watching for changes")
        (tmp_path / "app.py").write_text("a = (\n")
        line = serving.logged("could not start")
        assert "SyntaxError: '(' was never closed (app.py, line 1)" in line
        assert line.endswith("; waiting for the next change, the former worker serves on")
        (tmp_path / "app.py").write_text("a = 123\n")
        _, new = serving.event("ready")
        assert serving.event("stopping")[1] == old != new
        assert serving.stop() == 0


def test_a_failed_first_start_waits_for_the_change_that_mends_it(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("a = (\n")
    with Serving("source", cwd=tmp_path, server={"reload": True}) as serving:
        assert serving.logged("could not start").endswith("; waiting for the next change")
        serving.logged("watching for changes")
        (tmp_path / "app.py").write_text("a = 1\n")
        serving.event("ready")
        assert serving.stop() == 0


def test_a_watcher_that_is_killed_is_told(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("right = 1\n")
    with Serving("source", cwd=tmp_path, server={"reload": True}) as serving:
        serving.logged("watching for changes")
        os.kill(child_named("drawbar-reload", serving.process.pid), signal.SIGKILL)
        # The kernel tells that it was not for want of memory, and nothing is guessed.
        serving.logged("error: the watcher died: killed by SIGKILL; changes are no longer noticed$")
        assert serving.stop() == 0


def test_that_a_terminal_ends_the_watcher_too_is_no_news(tmp_path: Path) -> None:
    with Serving("deaf", cwd=tmp_path, server={"reload": True}, graceful=3600.0) as serving:
        serving.event("ready")
        serving.logged("watching for changes")
        serving.signal(signal.SIGINT)
        assert serving.logged("SIGINT").endswith("SIGINT: stopping, requests in progress have 2 s")
        watcher = child_named("drawbar-reload", serving.process.pid)
        descriptor = os.pidfd_open(watcher)
        os.kill(watcher, signal.SIGINT)
        assert ends(descriptor)
        serving.signal(signal.SIGTERM)
        serving.logged("at once")
        assert serving.wait() == 0
        assert not any("watcher" in line for line in serving.log.rest())


def child_named(name: str, parent: int) -> int:
    """The process id of the only child of `parent` that has this name."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    (found,) = [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == f"{name}\n"]
    return found
