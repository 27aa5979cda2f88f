"""What is PHP's own: its superglobals, requests that know nothing of each other, and responses handed in whole."""

import os
import signal
from pathlib import Path

import pytest

from tests.workers.conftest import Client, Worker, Workers, leave_while_asked, need
from tests.workers.fronts import AnyFront
from tests.workers.runtimes import PHP


@pytest.fixture
def site(worker: Workers, front: AnyFront, tmp_path: Path) -> Worker:
    """A worker with two slots."""
    need(*PHP.needs)
    return worker(PHP.command(tmp_path, front.url, "--slots", "2"))


def test_fills_the_superglobals_anew_for_each_request(site: Worker, ask: Client) -> None:
    fields = ("Cookie: c=3", "Content-Type: application/x-www-form-urlencoded")
    for _ in range(3):
        assert ask("POST", "/form?a=1", *fields, body=b"b=2").body == b"1 2 3 1 new"


def test_a_script_that_fails_after_its_first_bytes_is_a_500(site: Worker, ask: Client) -> None:
    assert ask("GET", "/fail-late").status == 500
    site.log.wait_for("too late")
    site.log.wait_for("GET /fail-late failed: a fatal error")


def test_slots_serve_at_once(site: Worker, ask: Client, tmp_path: Path) -> None:
    clients = []
    for name in "ab":
        os.mkfifo(tmp_path / name)
        clients.append(ask.begin("GET", f"/wait?{tmp_path / name}"))
    # Each opens only once a script reads it: both run now.
    for name in "ba":
        (tmp_path / name).write_text(name)
    assert [client.response().body for client in clients] == [b"a", b"b"]


def test_finishes_what_it_has_and_leaves(site: Worker, ask: Client, tmp_path: Path) -> None:
    assert leave_while_asked(site, ask, tmp_path / "gate") == b"done"


def test_leaves_for_its_supervisor_when_php_is_gone(site: Worker, ask: Client) -> None:
    assert ask("GET", "/hello").body == b"hello"
    children = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children").read_text().split()
    commands = {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in children}
    os.kill(commands["php-cgi"], signal.SIGKILL)
    site.wait(status=1)


def test_php_does_not_outlive_the_worker(site: Worker, ask: Client) -> None:
    assert ask("GET", "/hello").body == b"hello"
    site.process.kill()
    # php-cgi writes to the same log: it ends once the last of them ended.
    site.wait(status=-signal.SIGKILL)
