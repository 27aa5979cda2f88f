"""As many processes as the queue needs: from none and back to none, up to the most there may be, by hand and over a
reload. Nothing here judges how fast.
"""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES
from tests.support.desk import UnixConnection, ask
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S, Server, Servers

PID = b"GET /pid HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
WORK = f'["{sys.executable}", "-m", "drawbar", "work", "plain:app"]'

WAYS = {"target": 'target = "plain:app"\nthreads = 1', "command": f"command = {WORK}\nslots = 1"}

Scaled = Callable[..., Server]


@pytest.fixture
def scaled(server: Servers, tmp_path: Path) -> Scaled:
    """Starts the plain site with a table that says how it is scaled."""

    def start(*lines: str, way: str = "target") -> Server:
        table = "\n".join(["[apps.shop]", WAYS[way], f'chdir = "{SITES}"', "scale_wait = 0.05", *lines, ""])
        return server(None, "--log-level", "debug", cwd=tmp_path, toml=table)

    return start


def wait_for_end(descriptor: int) -> None:
    """Until the process of a descriptor has ended."""
    assert select.select([descriptor], [], [], PATIENCE_S)[0], "it is still there"
    os.close(descriptor)


def hold(site: Server, connect: Connect, gate: Path) -> RawClient:
    """A request that a worker has until the gate is opened; several may wait at one."""
    if not gate.exists():
        os.mkfifo(gate)
    client = connect(site)
    client.send(b"GET /hold%s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % str(gate).encode())
    return client


def test_an_application_at_rest_is_ready(scaled: Scaled, tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    site = scaled("min = 0", "max = 1", "[api]", f'bind = ["unix:{path}"]')
    assert ask(UnixConnection(str(path)), "GET", "/readyz").status == 200
    assert counts(site) == []


def counts(site: Server) -> list[int]:
    """The numbers of workers that were decided, in turn."""
    found = []
    for line in site.log.lines:
        if "from now on, as " in line:
            found.append(int(line.partition("shop: ")[2].split()[0]))
    return found


def ctl(site: Server, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "drawbar", "ctl", "--control", str(site.process.pid), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("way", WAYS)
def test_the_first_request_starts_a_worker_and_silence_ends_it(scaled: Scaled, connect: Connect, way: str) -> None:
    site = scaled("min = 0", "max = 1", "scale_idle = 0.3", way=way)
    assert "for shop (0 workers)" in site.log.text or "a front and 0 workers" in site.log.text
    for time in (1, 2):
        answer = connect(site).request(PID)
        assert answer.status == 200
        worker = os.pidfd_open(int(answer.body))
        wait_for_end(worker)
        site.log.wait_for_many("0 workers from now on, as one less was enough", time)
    assert counts(site) == [1, 0, 1, 0]


def test_those_that_wait_bring_all_there_may_be_and_no_more(scaled: Scaled, connect: Connect, tmp_path: Path) -> None:
    site = scaled("min = 1", "max = 3", "scale_idle = 0.5")
    clients = [hold(site, connect, tmp_path / str(number)) for number in range(5)]
    site.log.wait_for_many("holding ", 3)
    assert counts(site) == [2, 3]
    for number in range(5):
        # Each opens when a worker has come to it.
        os.close(os.open(tmp_path / str(number), os.O_WRONLY))
    assert [client.response().body for client in clients] == [b"ok"] * 5
    site.log.wait_for("shop: 1 worker from now on, as one less was enough")
    assert counts(site) == [2, 3, 2, 1]
    assert connect(site).request(PID).status == 200


def test_the_one_that_is_idle_goes(scaled: Scaled, connect: Connect, tmp_path: Path) -> None:
    site = scaled("min = 1", "max = 2", "scale_idle = 0.3")
    first = os.pidfd_open(int(connect(site).request(PID).body))
    clients = [hold(site, connect, tmp_path / name) for name in ("first", "second")]
    site.log.wait_for_many("holding ", 2)
    os.close(os.open(tmp_path / "first", os.O_WRONLY))
    assert clients[0].response().body == b"ok"
    # The second worker has a request still.
    wait_for_end(first)
    os.close(os.open(tmp_path / "second", os.O_WRONLY))
    assert clients[1].response().body == b"ok"
    assert counts(site) == [2, 1]
    assert connect(site).request(PID).status == 200


def test_a_number_by_hand_holds_until_the_next_reload(scaled: Scaled, connect: Connect) -> None:
    site = scaled("min = 1", "max = 4", "scale_idle = 0.2")
    ctl(site, "workers", "3")
    site.log.wait_for_many(r"worker \d is ready", 3)
    for _ in range(3):
        assert connect(site).request(PID).status == 200
    assert counts(site) == []
    site.process.send_signal(signal.SIGHUP)
    site.log.wait_for("shop: 1 worker from now on, as one less was enough")
    assert counts(site) == [2, 1]


def test_a_reload_takes_nothing_from_those_that_are_needed(scaled: Scaled, connect: Connect, tmp_path: Path) -> None:
    site = scaled("min = 1", "max = 2", "scale_idle = 30")
    clients: list[Any] = [hold(site, connect, tmp_path / str(number)) for number in range(3)]
    site.log.wait_for_many("holding ", 2)
    site.process.send_signal(signal.SIGHUP)
    site.log.wait_for("front is ready")
    for number in range(3):
        # The third comes to a worker when one of the others has been let go.
        os.close(os.open(tmp_path / str(number), os.O_WRONLY))
    assert [client.response().body for client in clients] == [b"ok"] * 3
    site.log.wait_for("reloaded: ")
    assert counts(site) == [2]


def test_an_application_that_does_not_start_stays_at_one_and_its_requests_are_told(
    server: Servers, connect: Connect, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no database')\n")
    table = (
        '[apps.shop]\ntarget = "broken:app"\nmin = 0\nmax = 3\nscale_wait = 0.05\nscale_idle = 0.3\nqueue_time = 1\n'
    )
    site = server(None, "--log-level", "debug", cwd=tmp_path, toml=table)
    assert connect(site).request(PID).status == 503
    site.log.wait_for("no database")
    site.log.wait_for("shop: 0 workers from now on")
    assert counts(site) == [1, 0]


def test_a_new_version_of_an_application_without_workers_has_one_and_is_scaled_when_it_is_alone(
    scaled: Scaled, connect: Connect
) -> None:
    site = scaled("min = 0", "max = 2", "scale_idle = 0.3", 'label = "v7"')
    ctl(site, "deploy", "shop", "--label", "v8", "--no-judge")
    site.log.wait_for("shop v8 worker 1 is ready")
    answer = connect(site).request(PID)
    assert answer.status == 200
    worker = os.pidfd_open(int(answer.body))
    # What was there before is gone by now, or will be: then the queue is the new one's.
    site.log.wait_for("shop: 0 workers from now on, as one less was enough")
    wait_for_end(worker)
    assert connect(site).request(PID).status == 200
    site.log.wait_for_many(r"shop v8 worker 1 is ready", 2)
