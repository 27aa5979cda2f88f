"""What goes wrong around a running server: orders that cannot be followed, places that vanish, too many signals.

Each time it serves on, and says in one line what is wrong. How each order is refused in detail is tested beside the
code; here it is a whole server, asked by clients.
"""

import os
import random
import re
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.support.raw import RawClient
from tests.support.server import Server, Servers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def fail(argument):
    raise LookupError("nothing there")
"""
CONFIG = '[server]\nworkers = 2\nbind = ["127.0.0.1:0"]\n'
HUP, USR1, USR2 = signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2
TTIN, TTOU, PWR, CHLD = signal.SIGTTIN, signal.SIGTTOU, signal.SIGPWR, signal.SIGCHLD
# Far more requests than anything that is waited for takes.
MANY = 100_000


class Site:
    """A server of two workers, configured by a file in the directory it is started in, and a client's connection."""

    def __init__(self, servers: Servers, connect: Connect, directory: Path, *options: str, text: str = "") -> None:
        self.file = directory / "drawbar.toml"
        self.text = CONFIG + text
        directory.mkdir(exist_ok=True)
        (directory / "site_a.py").write_text(APP)
        self.file.write_text(self.text)
        self.server: Server = servers("site_a:app", *options, cwd=directory, bind=None)
        self.client = connect(self.server)
        self.until(lambda: len(self.workers()) == 2)

    def signal(self, number: signal.Signals) -> None:
        self.server.process.send_signal(number)

    def reload(self, text: str) -> None:
        self.file.write_text(text)
        self.signal(HUP)

    def said(self, pattern: str) -> None:
        """It is in the log; once, if it is an error."""
        self.server.log.wait_for(pattern)
        assert "error" not in pattern or len(re.findall(pattern, self.server.log.text)) == 1

    def workers(self) -> set[int]:
        """Those there are, the dead included that nobody has buried."""
        master = self.server.process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        return {int(pid) for pid in children if said_of(int(pid), "comm").startswith("drawbar-worker")}

    def fresh(self) -> RawClient:
        """A new connection."""
        return RawClient((self.server.host, self.server.port))

    def serves(self) -> bool:
        """The one who was there, and others."""
        with self.fresh() as fresh:
            return self.client.request(GET).body == fresh.request(GET).body == b"ok"

    def until(self, there: Callable[[], bool]) -> None:
        """Asks, each time over a new connection, until something is the case."""
        for _ in range(MANY):
            with self.fresh() as fresh:
                assert fresh.request(GET).body == b"ok"
            if there():
                return
        raise AssertionError(f"it never came to be:\n{self.server.log.text}")


@pytest.fixture
def site(server: Servers, connect: Connect, tmp_path: Path) -> Site:
    return Site(server, connect, tmp_path / "site")


# Orders that cannot be followed.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server", "drawbar.toml: is not valid TOML: "),
        (f"{CONFIG}[limits]\nhead_bytes = 1\n", "drawbar.toml: limits.head_bytes: 1 is out of range; "),
        (f'{CONFIG}[log]\nerror = "missing/log"\n', "--error-log: cannot write .*/missing/log "),
        (f'{CONFIG}[log]\naccess = "missing/log"\n', "--access-log: cannot write missing/log "),
        (f'{CONFIG}temp_dir = "missing"\n', "--temp-dir: cannot use missing "),
        (f'{CONFIG}[process]\npid_file = "missing/pid"\n', "--pid-file .*/missing/pid: cannot be written "),
        (f'{CONFIG}[listen]\nworker_bind = ["unix:missing/{{n}}"]\n', "--worker-bind unix:missing/1: its directory is"),
    ],
)
def test_a_reload_that_cannot_be(site: Site, text: str, said: str) -> None:
    before = site.workers()
    site.reload(text)
    site.said(f"error: SIGHUP: not reloaded, nothing has changed: {said}")
    assert site.workers() == before
    assert site.serves()
    # The next one is none the worse for it.
    site.reload(site.text)
    site.said("reloaded: 2 workers of generation 2")


def test_a_reload_to_an_address_that_is_taken(site: Site) -> None:
    before = site.workers()
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        site.reload(CONFIG.replace('"]', f'", "{taken}"]'))
        site.said(f"error: SIGHUP: not reloaded, nothing has changed: --bind {taken}: the address is in use; ")
    assert site.workers() == before
    assert site.serves()


def test_a_reload_or_an_upgrade_without_the_file_that_was_read(site: Site) -> None:
    """Defaults would be another server."""
    site.file.unlink()
    site.signal(HUP)
    site.said(r"error: SIGHUP: not reloaded, nothing has changed: the file drawbar\.toml is gone; put it back")
    site.signal(USR2)
    site.said(r"drawbar: error: the file drawbar\.toml is gone; put it back")
    site.said(r"error: the new master \(pid \d+\) exited with code 2: not upgraded, this one serves on")
    assert site.serves()


@pytest.mark.parametrize(
    ("hook", "more", "said"),
    [
        (
            "after_fork",
            "",
            r"error: worker 1 \(pid \d+\) could not start: the hook after_fork .*the former worker serve",
        ),
        ("before_fork", "[lifecycle]\npreload = true\n", r"error: the hook before_fork .*; the workers serve on$"),
    ],
)
def test_a_reload_to_a_hook_that_raises(
    server: Servers, connect: Connect, tmp_path: Path, hook: str, more: str, said: str
) -> None:
    site = Site(server, connect, tmp_path, text=more)
    site.reload(f'{site.text}[hooks]\n{hook} = "site_a:fail"\n')
    site.said(said)
    assert "LookupError: nothing there (site_a.py, line 8)" in site.server.log.text
    assert site.serves()


def test_an_upgrade_with_a_hook_that_raises(server: Servers, connect: Connect, tmp_path: Path) -> None:
    site = Site(server, connect, tmp_path, text='[hooks]\nbefore_exec = "site_a:fail"\n')
    before = site.workers()
    site.signal(USR2)
    site.said("the hook before_exec .*: raised LookupError: nothing there")
    site.said(r"error: the new master \(pid \d+\) exited with code 127: not upgraded, this one serves on")
    assert site.workers() == before
    assert site.serves()


# Places that vanish.


@pytest.fixture(params=["started in", "chdir"])
def vanished(request: pytest.FixtureRequest, server: Servers, connect: Connect, tmp_path: Path) -> tuple[Site, Path]:
    """A server whose directory is gone: the one it was started in, or the one it was told to enter."""
    directory = tmp_path / "site"
    base = tmp_path / "base"
    for folder in (directory, base):
        folder.mkdir()
        (folder / "site_a.py").write_text(APP)
    if request.param == "started in":
        site = Site(server, connect, directory)
    else:
        site = Site(server, connect, base, "--chdir", str(directory))
    shutil.rmtree(directory)
    return site, directory


GONE = r"(the directory the server was started in is gone; |app\.chdir: cannot change to '.*/site': No such file)"


def put_back(site: Site, directory: Path) -> None:
    """Another directory of that name, as a deploy makes it."""
    directory.mkdir()
    (directory / "site_a.py").write_text(APP)
    site.file.write_text(site.text)


def test_a_reload_after_its_directory_has_vanished(vanished: tuple[Site, Path]) -> None:
    site, directory = vanished
    site.signal(HUP)
    site.said(rf"error: .*({GONE}|the file drawbar\.toml is gone)")
    assert site.serves()
    put_back(site, directory)
    site.signal(HUP)
    site.said(r"reloaded: 2 workers of generation \d")
    site.until(lambda: len(site.workers()) == 2)


def test_a_crash_after_its_directory_has_vanished(vanished: tuple[Site, Path]) -> None:
    site, directory = vanished
    os.kill(max(site.workers()), signal.SIGKILL)
    site.server.log.wait_for(rf"error: worker \d \(pid \d+\) could not start: {GONE}")
    put_back(site, directory)
    # Nobody has to order it.
    site.server.log.wait_for(r"info: worker \d is ready")
    site.until(lambda: len(site.workers()) == 2)


def test_an_upgrade_after_its_directory_has_vanished(vanished: tuple[Site, Path]) -> None:
    site, _ = vanished
    before = site.workers()
    site.signal(USR2)
    site.said(r"error: the new master \(pid \d+\) exited with code 2: not upgraded, this one serves on")
    assert "Traceback" not in site.server.log.text
    assert site.workers() == before
    assert site.serves()


def test_a_reload_follows_a_link_to_the_next_release(server: Servers, connect: Connect, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "site_a.py").write_text(APP.replace('b"ok"', f'b"{name}"').replace('"2"', '"3"'))
    current = tmp_path / "current"
    current.symlink_to("one")
    site = server("site_a:app", cwd=current, env={**os.environ, "PWD": str(current)})
    client = connect(site)
    assert client.request(GET).body == b"one"
    current.unlink()
    current.symlink_to("two")
    site.process.send_signal(HUP)
    site.log.wait_for("reloaded")
    assert connect(site).request(GET).body == b"two"


# Too many signals.


def test_a_storm_of_signals(site: Site) -> None:
    mixed = [HUP, USR1, TTIN, TTOU, PWR, CHLD]
    dice = random.Random(3)
    for _ in range(20):
        for _ in range(50):
            site.signal(dice.choice(mixed))
        with site.fresh() as client:
            assert client.request(GET).body == b"ok"

    def is_settled() -> bool:
        asked = re.findall(r"SIGTT\w+: (\d+) workers? from now on", site.server.log.text)
        workers = site.workers()
        return len(workers) == int(asked[-1]) and not any(map(is_dead, workers))

    # As many as the last order asked for, however many there were between.
    site.until(is_settled)
    site.said(r"reloaded: \d+ workers of generation \d+")


def test_an_upgrade_ordered_during_another(server: Servers, connect: Connect, tmp_path: Path) -> None:
    site = Site(server, connect, tmp_path, text='[lifecycle]\nupgrade = "manual"\n')
    site.signal(USR2)
    successor = int(site.server.log.wait_for(r"the new master \(pid (\d+)\) serves too")[1])
    site.signal(USR2)
    site.said(f"error: SIGUSR2: an upgrade is under way already, by pid {successor}")
    assert site.serves()
    os.kill(successor, signal.SIGQUIT)
    site.said(f"error: the new master .pid {successor}. exited with code 0: not upgraded, this one serves on")


def is_dead(pid: int) -> bool:
    """And not buried."""
    return said_of(pid, "stat").rpartition(")")[2].split()[:1] == ["Z"]


def said_of(pid: int, file: str) -> str:
    """What /proc says of a process; nothing when it has gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
