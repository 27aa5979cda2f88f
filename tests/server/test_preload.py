"""Serving with a fork server: what a reload, a death and a refork make of it, seen from outside."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Connect
from tests.supervisor.harness import ends
from tests.support.server import PATIENCE_S, Server, Servers

SITES = Path(__file__).parent / "sites"
GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
BIND = "[server]\nbind = ['127.0.0.1:0']\n"
WAYS = {"threads": ("app", "1:4"), "tasks": ("asgi", "1")}


class Site:
    """A server with `--preload` whose application is a file's text."""

    def __init__(self, servers: Servers, connect: Connect, folder: Path) -> None:
        self._servers = servers
        self._connect = connect
        self.version = folder / "version"

    def start(self, *options: str, name: str = "app", version: str = "one", ready: bool = True) -> Server:
        self.version.write_text(version)
        env = {**os.environ, "VERSION_FILE": str(self.version)}
        self.server = self._servers(f"shared:{name}", "--preload", *options, chdir=SITES, env=env, ready=ready)
        return self.server

    def ask(self) -> dict[str, Any]:
        """What the worker says that answers."""
        found: dict[str, Any] = json.loads(self._connect(self.server).request(GET).body)
        return found

    def reload(self, version: str) -> None:
        self.version.write_text(version)
        self.server.process.send_signal(signal.SIGHUP)


@pytest.fixture
def site(server: Servers, connect: Connect, tmp_path: Path) -> Site:
    return Site(server, connect, tmp_path)


@pytest.mark.parametrize("way", WAYS)
def test_workers_are_forked_from_one_that_has_the_application(site: Site, way: str) -> None:
    name, threads = WAYS[way]
    server = site.start("--threads", threads, "--workers", "2", name=name)
    found = site.ask()
    assert found["imported_by"] not in (found["pid"], server.process.pid)
    server.stop()
    assert "killed" not in server.log.text


def test_a_reload_loads_the_application_anew(site: Site) -> None:
    server = site.start("--workers", "2")
    before = site.ask()
    site.reload("two")
    server.log.wait_for("reloaded: 2 workers")
    after = site.ask()
    assert after["version"] == "two"
    assert after["imported_by"] != before["imported_by"]


@pytest.mark.parametrize("before", [signal.SIGUSR1, signal.SIGWINCH])
def test_workers_halted_while_the_application_loads_stay_so(site: Site, before: signal.Signals) -> None:
    server = site.start("--log-level", "debug")
    server.process.send_signal(before)
    server.log.wait_for(signal.Signals(before).name)
    site.version.unlink()
    os.mkfifo(site.version)
    server.process.send_signal(signal.SIGHUP)
    with site.version.open("w") as version:
        server.process.send_signal(signal.SIGWINCH)
        server.log.wait_for_many("SIGWINCH: the workers stop", 1 + (before == signal.SIGWINCH))
        version.write("two")
    server.log.wait_for_many("the fork server is ready", 2)
    # By the time it hears this it has forked whom it wants.
    server.process.send_signal(signal.SIGUSR1)
    server.log.wait_for_many("logs reopened", 1 + (before == signal.SIGUSR1))
    assert len([line for line in server.log.lines if "worker 1 started" in line]) == 1
    site.version.unlink()
    site.reload("three")
    server.log.wait_for_many("worker 1 is ready", 1)
    assert site.ask()["version"] == "three"


def test_a_reload_whose_application_does_not_load_changes_nothing(site: Site) -> None:
    server = site.start("--workers", "2")
    before = site.ask()
    site.reload("broken")
    server.log.wait_for(r"importing 'shared' failed: KeyError: 'SECRET_KEY' .*; the workers serve on")
    os.kill(before["pid"], signal.SIGKILL)
    server.log.wait_for_many(r"worker \d is ready", 1)
    after = site.ask()
    assert (after["version"], after["imported_by"]) == ("one", before["imported_by"])
    site.reload("three")
    server.log.wait_for("reloaded: 2 workers")
    assert site.ask()["version"] == "three"


def test_a_reload_that_fails_gives_up_what_it_had_opened(server: Servers, connect: Connect, tmp_path: Path) -> None:
    version, toml, path = tmp_path / "version", tmp_path / "drawbar.toml", tmp_path / "s"
    version.write_text("one")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "manager"))
        manager.settimeout(PATIENCE_S)
        env = {**os.environ, "VERSION_FILE": str(version), "NOTIFY_SOCKET": str(tmp_path / "manager")}
        serving = server("shared:app", "--preload", chdir=SITES, bind=None, env=env, cwd=tmp_path, toml=BIND)
        assert manager.recv(4096).startswith(b"READY=1")
        version.write_text("broken")
        toml.write_text(f"[server]\nbind = ['127.0.0.1:0', 'unix:{path}']\n")
        serving.process.send_signal(signal.SIGHUP)
        assert manager.recv(4096).startswith(b"RELOADING=1")
        # The manager waits for this, and by then nobody is led to an address where no worker listens.
        assert manager.recv(4096).startswith(b"READY=1")
        assert not path.exists()
    assert json.loads(connect(serving).request(GET).body)["version"] == "one"


def test_a_reload_without_preload_ends_the_fork_server(server: Servers, connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "version").write_text("one")
    env = {**os.environ, "VERSION_FILE": str(tmp_path / "version")}
    toml = f"{BIND}[lifecycle]\npreload = true\n"
    serving = server("shared:app", chdir=SITES, bind=None, env=env, cwd=tmp_path, toml=toml)
    before = json.loads(connect(serving).request(GET).body)
    assert before["imported_by"] != before["pid"]
    fork_server = os.pidfd_open(before["imported_by"])
    (tmp_path / "drawbar.toml").write_text(BIND)
    serving.process.send_signal(signal.SIGHUP)
    assert ends(fork_server)
    serving.log.wait_for("reloaded: 1 worker of")
    after = json.loads(connect(serving).request(GET).body)
    assert after["imported_by"] == after["pid"]
    serving.stop()
    assert "fork server" not in serving.log.text


def test_an_application_that_does_not_load_stops_the_start(site: Site) -> None:
    server = site.start(version="broken", ready=False)
    assert server.wait() == 2
    (line,) = server.log.lines
    assert line.startswith("drawbar: error: shared:app: importing 'shared' failed: KeyError: 'SECRET_KEY'")


def test_a_fork_server_that_dies_is_replaced(site: Site) -> None:
    server = site.start()
    before = site.ask()
    worker = os.pidfd_open(before["pid"])
    os.kill(before["imported_by"], signal.SIGKILL)
    server.log.wait_for(r"the fork server \(pid \d+\) died: killed by SIGKILL; the workers serve on$")
    server.log.wait_for(r"worker 1 is ready")
    assert ends(worker)
    after = site.ask()
    assert after["imported_by"] != before["imported_by"]


@pytest.mark.parametrize("way", WAYS)
def test_after_some_requests_the_workers_are_forked_from_a_warm_one(site: Site, way: str) -> None:
    name, threads = WAYS[way]
    server = site.start("--threads", threads, "--refork", "3", name=name)
    cold = site.ask()
    for _ in range(3):
        site.ask()
    line = server.log.wait_for(r"worker 1 \(pid (\d+)\) is the fork server now")
    assert int(line[1]) == cold["pid"]
    server.log.wait_for_many(r"worker 1 is ready", 2)
    assert server.process.poll() is None
    assert site.ask()["pid"] != cold["pid"]


def test_hooks_of_fork_server_and_worker(site: Site, server: Servers) -> None:
    hooks = ("--hook-before-fork", "hooked:before_fork", "--hook-after-fork", "hooked:after_fork")
    started = site.start(*hooks)
    assert site.ask()["version"] == "one"
    lines = [line for line in started.log.lines if line.startswith("hook: ")]
    assert lines == ["hook: before_fork shared:app False", "hook: after_fork 1 shared:app wsgi True"]


def test_quick_and_slow_ends(site: Site) -> None:
    """Whatever ends the server, nobody is left: the log's pipe would stay open."""
    ends: list[Callable[[Server], None]] = [
        lambda server: server.stop(signal.SIGINT),
        lambda server: server.stop(signal.SIGQUIT),
        lambda server: server.kill(),
    ]
    for end in ends:
        server = site.start()
        site.ask()
        end(server)
