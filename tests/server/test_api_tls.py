"""The API by TLS: a front and its workers, and clients of the polling lanes, as real processes and sockets."""

import http.client
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES, Fifo
from tests.support.front import Authority
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S, Server, Servers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TOKEN = "0123456789abcdef0123"

Start = Callable[..., Server]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Vouches for the front, whose certificate and key are in the folder."""
    found = Authority(tmp_path)
    found.issue("front")
    return found


@pytest.fixture
def front(server: Servers, authority: Authority) -> Start:
    """Starts a front whose API speaks TLS, on ports the kernel chose."""

    def start(*options: str) -> Server:
        certificate, key = authority.folder / "front.pem", authority.folder / "front.key"
        pair = ("--api-cert-file", str(certificate), "--api-key-file", str(key))
        return server(None, "--api", "127.0.0.1:0", *pair, *options, command="serve")

    return start


@pytest.fixture
def worker(server: Servers, authority: Authority) -> Start:
    """Starts a worker that trusts the authority alone."""

    def start(of: Server, *options: str, ready: bool = True) -> Server:
        known = ("--from-ca", str(authority.ca))
        found = server("plain:app", "--from", of.api, *known, *options, command="work", bind=None, chdir=SITES)
        if ready:
            found.log.wait_for("attached to https://")
        return found

    return start


def address(of: Server) -> tuple[str, int]:
    """Where its API listens."""
    host, port = of.api.removeprefix("https://").split(":")
    return host, int(port)


class Answer(NamedTuple):
    """Of the API. json: what came, where it is JSON."""

    status: int
    fields: http.client.HTTPMessage
    json: Any


def ask(of: Server, authority: Authority, method: str, path: str, body: bytes = b"", **fields: str) -> Answer:
    """One request to the API."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    connection = http.client.HTTPSConnection(*address(of), timeout=PATIENCE_S, context=context)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in fields.items()})
    response = connection.getresponse()
    said = response.read()
    connection.close()
    is_json = "json" in (response.getheader("Content-Type") or "")
    return Answer(response.status, response.headers, json.loads(said) if is_json else None)


def shown_by(of: Server, authority: Authority) -> str:
    """The serial number of its certificate."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    with RawClient(address(of)) as plain, context.wrap_socket(plain.socket, server_hostname="127.0.0.1") as client:
        certificate = client.getpeercert()
        assert certificate is not None
        return str(certificate["serialNumber"])


def test_a_request_goes_through(front: Start, worker: Start, connect: Connect, authority: Authority) -> None:
    site = front()
    worker(site, "--slots", "2")
    assert connect(site).request(GET).body == b"ok"
    assert len(connect(site).request(b"GET /big/3000000 HTTP/1.1\r\nHost: a\r\n\r\n").body) == 3_000_000
    body = b"x" * 500_000
    client = connect(site)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert client.response("POST").body == b"500000"
    report = ask(site, authority, "GET", "/api/v2/status").json
    assert {place["worker"].partition(":")[0] for place in report["apps"]["app"]["workers"]} == {socket.gethostname()}


def test_polls_and_their_answers(front: Start, connect: Connect, authority: Authority) -> None:
    site = front()
    client = connect(site)
    client.send(GET)
    asked = ask(site, authority, "GET", "/api/v1/request?app=app")
    assert (asked.status, asked.json["environment"]["REQUEST_METHOD"]) == (200, "GET")
    answer = {"identifier": asked.json["identifier"], "code": 200, "headers": {}, "body": "b25l"}
    assert ask(site, authority, "POST", "/api/v1/response", json.dumps(answer).encode()).status == 200
    assert client.response().body == b"one"
    client.send(GET)
    asked = ask(site, authority, "GET", "/api/v2/next?app=app")
    assert asked.status == 200
    path = f"/api/v2/requests/{asked.fields['Drawbar-Request-Id']}/response"
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo"
    assert ask(site, authority, "POST", path, whole, Content_Type="message/http").status == 202
    assert client.response().body == b"two"


def test_a_worker_that_is_killed_costs_no_get(front: Start, worker: Start, connect: Connect, fifo: Fifo) -> None:
    site = front()
    first = worker(site, "--threads", "1")
    client = connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    fifo.release()
    assert client.response().status == 200
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    pid = int(Path(f"/proc/{first.process.pid}/task/{first.process.pid}/children").read_text().split()[0])
    released = threading.Thread(target=fifo.release)
    os.kill(pid, signal.SIGKILL)
    first.log.wait_for("died: killed by SIGKILL")
    # The call of the next worker opens the gate: both sides must be there.
    released.start()
    assert client.response().status == 200
    released.join()


def test_a_token_is_asked_for(front: Start, worker: Start, connect: Connect, authority: Authority) -> None:
    tokens, mine = authority.folder / "tokens", authority.folder / "token"
    tokens.write_text(f"{TOKEN} app\n")
    mine.write_text(TOKEN)
    site = front("--api-token-file", str(tokens))
    assert ask(site, authority, "GET", "/api/v2/status").status == 401
    worker(site, "--token-file", str(mine))
    assert connect(site).request(GET).body == b"ok"


def test_only_workers_with_a_certificate_are_let_in(
    front: Start, worker: Start, connect: Connect, authority: Authority
) -> None:
    site = front("--api-client-ca", str(authority.ca))
    stranger = worker(site, ready=False)
    stranger.log.wait_for("TLS fails: .*certificate required")
    site.log.wait_for("the API: 127.0.0.1 was refused: TLS fails: peer did not return a certificate")
    shown, key = authority.issue("worker", "DNS:worker")
    worker(site, "--from-cert", str(shown), "--from-key", str(key))
    assert connect(site).request(GET).body == b"ok"


def test_a_worker_without_tls_is_told_what_to_write(front: Start, server: Servers) -> None:
    site = front()
    plain = server("plain:app", "--from", site.api.replace("https:", "http:"), command="work", bind=None, chdir=SITES)
    plain.log.wait_for("error: .*this port speaks TLS")


def test_a_unix_socket_stays_plain(front: Start, server: Servers, connect: Connect, tmp_path: Path) -> None:
    site = front("--api", f"unix:{tmp_path}/api.sock")
    near = server("plain:app", "--from", f"unix:{tmp_path}/api.sock", command="work", bind=None, chdir=SITES)
    near.log.wait_for("attached to unix:")
    assert connect(site).request(GET).body == b"ok"


def test_a_reload_reads_the_certificate_anew(
    front: Start, worker: Start, connect: Connect, authority: Authority
) -> None:
    site = front()
    worker(site)
    before = shown_by(site, authority)
    authority.issue("front")
    assert shown_by(site, authority) == before
    os.kill(site.process.pid, signal.SIGHUP)
    # By then the former front has ended, which accepts until it is told to stop.
    site.log.wait_for("reloaded: 1 worker of generation 2")
    after = shown_by(site, authority)
    assert after != before
    assert connect(site).request(GET).body == b"ok"
    authority.folder.joinpath("front.key").write_text("no key\n")
    os.kill(site.process.pid, signal.SIGHUP)
    site.log.wait_for(
        r"--api-key-file: .*front.key cannot be used: it is no PEM, as it has no line -----BEGIN \.\.\.-----"
    )
    assert shown_by(site, authority) == after
    assert connect(site).request(GET).body == b"ok"


def test_who_never_shakes_hands_delays_nobody(
    front: Start, worker: Start, connect: Connect, authority: Authority
) -> None:
    site = front()
    silent = [RawClient(address(site)) for _ in range(200)]
    for client in silent[:100]:
        client.send(b"\x16\x03\x01")
    worker(site)
    assert connect(site).request(GET).body == b"ok"
    assert ask(site, authority, "GET", "/readyz").status == 200
    for client in silent:
        client.close()


def test_an_api_for_others_that_is_not_encrypted_is_told_of(server: Servers, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN} app\n")
    site = server(None, "--api", "0.0.0.0:0", "--api-token-file", str(tokens), command="serve")
    site.log.wait_for(r"warning: the API on http://0\.0\.0\.0:\d+ is not encrypted")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--api-cert-file", "/nowhere/cert"), "--api-cert-file: /nowhere/cert cannot be used: No such file"),
        (("--api-key-file", "/nowhere/key"), "a key without its certificate"),
        (("--api-client-ca", "/nowhere/ca"), "certificates of workers are seen by TLS only"),
    ],
)
def test_mistakes_are_told_in_a_line(server: Servers, options: tuple[str, ...], message: str) -> None:
    site = server(None, "--api", "127.0.0.1:0", *options, command="serve", ready=False)
    assert site.wait() != 0
    (line,) = [line for line in site.log.lines if "error" in line][:1]
    assert message in line
    assert "Traceback" not in site.log.text
