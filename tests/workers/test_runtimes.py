"""What every worker must do, asked through a front, on the real runtimes."""

import hashlib
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.raw import READ_BYTES
from tests.support.server import PATIENCE_S
from tests.workers.conftest import Client, Worker, Workers, need
from tests.workers.fronts import AnyFront
from tests.workers.runtimes import RUNTIMES, Runtime

BINARY = bytes(range(256)) * 4096


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each of them."""
    found: Runtime = request.param
    need(*found.needs)
    return found


@pytest.fixture
def site(runtime: Runtime, worker: Workers, front: AnyFront, tmp_path: Path) -> Worker:
    """A worker with one slot."""
    return worker(runtime.command(tmp_path, front.url, "--slots", "1"))


def test_serves_again_and_again_on_one_connection(site: Worker, front: AnyFront, ask: Client) -> None:
    for _ in range(3):
        response = ask("GET", "/hello")
        assert (response.status, response.body) == (200, b"hello")
        assert response.header("content-type") is not None
    assert ask("GET", "/missing").status == 404
    assert front.dialled in (None, 0, 1)


def test_passes_a_request_whole(site: Worker, ask: Client) -> None:
    fields = ("Cookie: a=1; b=2", "X-Many: one", "X-Many: two", "Content-Type: application/octet-stream")
    response = ask("POST", "/echo?a=%20b&c", *fields, body=BINARY)
    assert response.status == 200
    assert hashlib.sha256(response.body).digest() == hashlib.sha256(BINARY).digest()
    assert response.header("x-method") == "POST"
    assert response.header("x-path") == "/echo"
    assert response.header("x-query") == "a=%20b&c"
    assert response.header("x-cookie") == "a=1; b=2"
    assert response.header("x-many") == "one, two"


@pytest.mark.parametrize("body", [b"", b"x", b"0123456789" * 20_000], ids=len)
def test_reads_bodies_of_any_size_and_framing(site: Worker, ask: Client, body: bytes) -> None:
    assert ask("PUT", "/echo", body=body).body == body
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part) + b"0\r\n\r\n"
    client = ask.begin("PUT", "/echo", "Transfer-Encoding: chunked")
    client.send(chunks)
    assert client.response("PUT").body == body


def test_knows_who_asked_and_for_what(site: Worker, ask: Client) -> None:
    # A name with `_` would be the same variable as one with `-`: it must not reach the application.
    response = ask("GET", "/about", "X_Sly: yes")
    assert response.body.split() == [b"http", b"shop.test", b"8080", b"127.0.0.1"]


def test_keeps_repeated_fields_apart(site: Worker, ask: Client) -> None:
    response = ask("GET", "/cookies")
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]


def test_sends_bytes_as_they_are(site: Worker, ask: Client) -> None:
    assert ask("GET", "/binary").body == BINARY


def test_answers_without_a_body_where_there_is_none(site: Worker, front: AnyFront, ask: Client) -> None:
    assert ask("GET", "/nothing").status == 204
    assert ask("HEAD", "/hello").body == b""
    assert ask("HEAD", "/binary").body == b""
    assert ask("GET", "/hello").body == b"hello"
    assert front.dialled in (None, 0, 1)


@pytest.fixture
def streaming(runtime: Runtime) -> None:
    """For a test that needs a response in parts."""
    if not runtime.streams:
        pytest.skip(f"{runtime.name} hands a response in when it is whole")


@pytest.mark.usefixtures("streaming")
def test_streams(site: Worker, ask: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    client = ask.begin("GET", f"/stream?{gate}")
    client.read_until(b"first\n")
    # Until now the application waits for this.
    gate.write_text("second\n")
    client.read_until(b"second\n")


def test_an_application_that_fails_is_a_500_and_a_line_in_the_log(site: Worker, front: AnyFront, ask: Client) -> None:
    assert ask("GET", "/fail").status == 500
    site.log.wait_for("on purpose")
    assert ask("HEAD", "/fail").status == 500
    assert ask("GET", "/hello").body == b"hello"


@pytest.mark.usefixtures("streaming")
def test_an_application_that_fails_too_late_is_cut_off(site: Worker, ask: Client) -> None:
    client = ask.begin("GET", "/fail-late")
    client.read_until(b"first\n")
    assert not client.read_to_end().endswith(b"0\r\n\r\n")
    site.log.wait_for("too late")
    assert ask("GET", "/hello").body == b"hello"


def test_an_application_cannot_break_the_framing(site: Worker, ask: Client) -> None:
    response = ask("GET", "/bad-header")
    assert response.header("b") is None
    assert ask("GET", "/hello").body == b"hello"


def test_an_application_that_exits_ends_its_request_alone(site: Worker, runtime: Runtime, ask: Client) -> None:
    if not runtime.exits:
        pytest.skip(f"with {runtime.name} it ends the worker, which its supervisor starts again")
    assert ask("GET", "/exit").status in (200, 500, 502)
    assert ask("GET", "/hello").body == b"hello"


@pytest.mark.usefixtures("streaming")
def test_a_client_that_leaves_frees_the_slot(site: Worker, ask: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    client = ask.begin("GET", f"/stream?{gate}")
    client.read_until(b"first\n")
    client.close()
    gate.write_bytes(BINARY)
    assert ask("GET", "/hello").body == b"hello"


def test_upgrades_pass_through(site: Worker, runtime: Runtime, front: AnyFront, ask: Client) -> None:
    if not runtime.upgrades:
        pytest.skip(f"{runtime.name} gives an application no connection")
    client = ask.begin("GET", "/upgrade", "Connection: Upgrade", "Upgrade: echo")
    response = client.response(upgrade=True)
    assert (response.status, dict(response.informational[-1][1])["upgrade"]) == (101, "echo")
    for word in (b"one\n", b"two\n"):
        client.send(word)
        assert client.read(4) == word.upper()
    client.close()
    assert ask("GET", "/hello").body == b"hello"


@pytest.mark.usefixtures("streaming")
def test_slots_are_connections(runtime: Runtime, worker: Workers, front: AnyFront, ask: Client, tmp_path: Path) -> None:
    worker(runtime.command(tmp_path, front.url, "--slots", "3", "--label", "v7.1-rc_2"))
    front.wait_for_slots(3, "v7.1-rc_2")
    clients = []
    for name in "abc":
        os.mkfifo(tmp_path / name)
        clients.append(ask.begin("GET", f"/stream?{tmp_path / name}"))
        clients[-1].read_until(b"first\n")
    for name, client in zip("abc", clients, strict=True):
        (tmp_path / name).write_text(f"{name}\n")
        client.read_until(f"{name}\n".encode())


@pytest.mark.usefixtures("streaming")
def test_finishes_what_it_has_and_leaves(site: Worker, front: AnyFront, ask: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    client = ask.begin("GET", f"/stream?{gate}")
    client.read_until(b"first\n")
    site.process.send_signal(signal.SIGTERM)
    gate.write_text("second\n")
    client.read_until(b"second\n")
    site.wait()
    assert front.dialled in (None, 1)


@pytest.mark.usefixtures("streaming")
def test_leaves_at_once_when_idle(site: Worker, front: AnyFront) -> None:
    front.wait_for_slots(1)
    site.process.send_signal(signal.SIGTERM)
    site.wait()


def test_waits_for_a_front_that_is_not_there(
    runtime: Runtime, worker: Workers, front: AnyFront, ask: Client, tmp_path: Path
) -> None:
    front.close_api()
    waiting = worker(runtime.command(tmp_path, front.url, "--slots", "4"))
    waiting.log.wait_for(r"no connection to http://127\.0\.0\.1:\d+: .*(?i:refused)")
    front.open_api()
    assert ask("GET", "/hello").body == b"hello"
    waiting.log.wait_for("(attached|connected) to http://")
    # And finds it again when it comes back.
    front.close_api()
    front.open_api()
    assert ask("GET", "/hello").body == b"hello"
    waiting.stop()
    # Once, not once for each slot, and nothing of the end.
    assert [line.partition("worker: ")[2].split(" http")[0] for line in waiting.log.lines[1:3]] == [
        "no connection to",
        "attached to" if runtime.streams else "connected to",
    ]
    assert waiting.log.lines[-1].endswith("worker: drained")
    assert waiting.log.text.count("drained") == 1
    assert waiting.log.text.count("refused") <= 2


def test_a_worker_that_is_told_to_stop_says_nothing_of_its_front(
    runtime: Runtime, worker: Workers, front: AnyFront, tmp_path: Path
) -> None:
    front.close_api()
    site = worker(runtime.command(tmp_path, front.url, "--slots", "4"))
    site.log.wait_for("no connection to")
    site.stop()
    assert [line.partition("worker: ")[2].split(" ")[0] for line in site.log.lines] == ["4", "no", "drained"]


@pytest.mark.usefixtures("streaming")
def test_says_that_nothing_was_begun_when_it_leaves(runtime: Runtime, worker: Workers, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        site = worker(runtime.command(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}", "--slots", "1"))
        attached, _ = listener.accept()
    with attached:
        attached.settimeout(PATIENCE_S)
        received = b""
        while not received.endswith(b"\r\n\r\n"):
            received += attached.recv(READ_BYTES)
        attached.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: PTTH/1.0\r\n\r\n")
        # One request, so that it is known to be attached.
        attached.sendall(b"GET /hello HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        received = b""
        while b"hello" not in received:
            received += attached.recv(READ_BYTES)
        site.process.send_signal(signal.SIGTERM)
        # What node sends behind the body of a chunked response may still come.
        received = received.partition(b"hello")[2]
        while data := attached.recv(READ_BYTES):
            received += data
        assert received.removeprefix(b"\r\n0\r\n\r\n").startswith(b"HTTP/1.1 503 ")
        assert b"\r\nDrawbar-Released: 1\r\n" in received
        site.wait()
