"""Workers that dial a front: real processes, and a front that does what the test says."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri

from tests.server.conftest import SITES, WAYS, Fifo
from tests.support.front import GET, Authority, Dialled, ScriptedFront
from tests.support.server import Server, Servers

FORWARDED = (
    b"GET /shop/cart HTTP/1.1\r\nHost: inside\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
    b"X-Forwarded-Host: shop.example\r\nX-Forwarded-Port: 8443\r\nX-Forwarded-Prefix: /shop\r\n\r\n"
)


def work(server: Servers, front: str, target: str, *options: str, ready: bool = True) -> Server:
    """`drawbar work TARGET --from FRONT --app blog OPTIONS...`."""
    whole = ["--from", front, "--app", "blog", "--log-level", "debug", *options]
    return server(target, *whole, command="work", bind=None, chdir=SITES, ready=ready)


def options_of(way: str) -> tuple[str, list[str]]:
    """What the ways of `conftest` are here."""
    name, *options = WAYS[way]
    return name, options


@pytest.mark.parametrize("way", [*WAYS])
def test_requests_are_served_and_the_front_is_believed(server: Servers, way: str) -> None:
    name, options = options_of(way)
    with ScriptedFront() as front:
        site = work(server, front.url, f"behind:{name}", *options, "--label", "v7")
        asked = front.accept()
        assert re.match(
            rb"GET /api/v2/attach\?app=blog&label=v7&worker=[A-Za-z0-9._-]+:[0-9]+ HTTP/1.1\r\n", asked.head
        )
        asked.agree(releases=True)
        for _ in range(3):
            seen = json.loads(asked.request(FORWARDED).body)
            if name == "app":
                assert seen == ["192.0.2.7", "https", "shop.example", "/shop", "/cart", "8443"]
            else:
                assert seen == ["192.0.2.7", "https", "shop.example", "/shop", "/shop/cart", "8443"]
        assert f"for {front.url} as blog v7, 1 worker" in site.log.text
        assert site.log.wait_for("attached to").string.endswith(f"attached to {front.url} as blog v7")


@pytest.mark.parametrize(
    ("options", "slots"),
    [
        (("app", "--threads", "1"), 1),
        (("app", "--threads", "1:3"), 3),
        (("app", "--threads", "1:3", "--slots", "5"), 5),
        (("asgi", "--max-concurrency", "4"), 4),
        (("asgi", "--workers", "2", "--slots", "3"), 6),
    ],
)
def test_there_are_as_many_connections_as_the_worker_can_run_calls(
    server: Servers, options: tuple[str, ...], slots: int
) -> None:
    with ScriptedFront() as front:
        work(server, front.url, f"plain:{options[0]}", *options[1:])
        attached = front.attached(slots)
        for one in attached:
            assert one.request(GET).body == b"ok"
        assert front.has_none_waiting()


def test_each_of_several_fronts_gets_all_connections(server: Servers, tmp_path: Path) -> None:
    with ScriptedFront() as front, ScriptedFront(tmp_path / "front.sock") as other:
        work(server, front.url, "plain:app", "--threads", "1:2", "--from", other.url)
        for one in [*front.attached(2), *other.attached(2)]:
            assert one.request(GET).body == b"ok"


@pytest.mark.parametrize("way", ["inline", "threads", "greenlets", "asyncio"])
def test_a_connection_that_ends_is_dialled_again(server: Servers, way: str) -> None:
    name, options = options_of(way)
    with ScriptedFront() as front:
        work(server, front.url, f"plain:{name}", *options, "--slots", "1")
        for _ in range(3):
            (one,) = front.attached(1)
            assert one.request(GET).body == b"ok"
            assert one.request(GET[:-2] + b"Connection: close\r\n\r\n").header("connection") == "close"
            assert one.read_to_end() == b""


def test_a_front_that_is_not_there_fails_no_start(server: Servers) -> None:
    with ScriptedFront() as front:
        port = front.vanish()
        site = work(server, f"http://127.0.0.1:{port}", "plain:app", "--threads", "1")
        site.log.wait_for("warning: worker 1: no connection to http://.* it cannot be reached: Connection refused; try")
        front.return_on(port)
        assert front.attached(1)[0].request(GET).body == b"ok"
        site.log.wait_for("info: worker 1: attached to")


def test_a_refusal_is_told_once_in_the_fronts_words(server: Servers, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("wrong")
    with ScriptedFront() as front:
        site = work(server, front.url, "plain:app", "--threads", "1:4", "--token-file", str(token))
        for _ in range(4):
            asked = front.accept()
            assert asked.fields["authorization"] == "Bearer wrong"
            asked.refuse("401 Unauthorized", b'{"detail": "no such token"}')
        site.log.wait_for(r"error: .* refuses the token: .* \(401: no such token\); trying again, about every 30 s")
        site.stop()
        assert site.log.text.count("refuses the token") == 1


@pytest.mark.parametrize("way", [*WAYS])
def test_a_stop_closes_what_is_idle_and_answers_what_runs(server: Servers, fifo: Fifo, way: str) -> None:
    name, options = options_of(way)
    with ScriptedFront() as front:
        site = work(server, front.url, f"plain:{name}", *options, "--slots", "2")
        idle, busy = front.attached(2, releases=True)
        busy.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        site.log.wait_for(f"holding {fifo.path}")
        site.process.send_signal(signal.SIGTERM)
        site.log.wait_for("SIGTERM: stopping")
        # A call that blocks the thread that leads keeps it from hearing of the stop.
        hears = way not in ("inline", "greenlets")
        if hears:
            assert b"Drawbar-Released: 1" in idle.read_to_end()
        fifo.release()
        response = busy.response()
        assert (response.status, response.body) == (200, b"ok")
        assert response.header("connection") == "close" or not hears
        busy.end()
        assert b"Drawbar-Released: 1" in busy.read_to_end() + idle.read_to_end() or hears
        for one in (idle, busy):
            one.close()
        assert site.wait() == 0
        # Who had not heard of it yet when a connection ended may have dialled another.
        assert front.has_none_waiting() or not hears


def test_a_killed_worker_is_replaced(server: Servers) -> None:
    with ScriptedFront() as front:
        site = work(server, front.url, "plain:app", "--threads", "1")
        (one,) = front.attached(1)
        pid = int(one.request(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n").body)
        os.kill(pid, signal.SIGKILL)
        assert one.read_to_end() == b""
        (other,) = front.attached(1)
        assert int(other.request(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n").body) != pid
        site.log.wait_for("worker 1 .* died")


def test_a_worker_that_had_enough_is_replaced_by_one_that_is_attached_first(server: Servers) -> None:
    with ScriptedFront() as front:
        site = work(server, front.url, "plain:app", "--threads", "1", "--max-requests", "2")
        (one,) = front.attached(1, releases=True)
        for _ in range(2):
            assert one.request(GET).body == b"ok"
        (other,) = front.attached(1, releases=True)
        site.log.wait_for("is replaced: it has served its number of requests")
        assert b"Drawbar-Released: 1" in one.read_to_end()
        one.close()
        assert other.request(GET).body == b"ok"


def test_a_reload_replaces_the_workers(server: Servers) -> None:
    with ScriptedFront() as front:
        site = work(server, front.url, "plain:asgi", "--slots", "2")
        olds = front.attached(2, releases=True)
        site.process.send_signal(signal.SIGHUP)
        news = front.attached(2, releases=True)
        for old in olds:
            assert b"Drawbar-Released: 1" in old.read_to_end()
            old.close()
        assert news[0].request(GET).body == b"ok"
        site.log.wait_for("reloaded: 1 worker of generation 2")


def test_preloaded_workers_attach(server: Servers) -> None:
    with ScriptedFront() as front:
        work(server, front.url, "plain:app", "--threads", "1", "--preload", "--workers", "2")
        pids = {int(one.request(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n").body) for one in front.attached(2)}
        assert len(pids) == 2


def test_a_request_that_hangs_costs_the_worker_and_not_the_slot(server: Servers, fifo: Fifo) -> None:
    with ScriptedFront() as front:
        site = work(server, front.url, "plain:app", "--threads", "1:2", "--request-timeout", "0.2")
        one, _ = front.attached(2, releases=True)
        one.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert one.response().status == 504
        site.log.wait_for("is replaced: a request timed out in it")
        one.close()
        for other in front.attached(2):
            assert other.request(GET).body == b"ok"
            break
        fifo.release()


def websocket_on(one: Dialled) -> ClientProtocol:
    """Opens a WebSocket as the front passes it on."""
    protocol = ClientProtocol(parse_uri("ws://site.example/"))
    protocol.send_request(protocol.connect())
    for data in protocol.data_to_send():
        one.send(data)
    protocol.receive_data(one.read_until(b"\r\n\r\n"))
    assert protocol.handshake_exc is None
    protocol.events_received()
    return protocol


def test_a_websocket_passes_through(server: Servers) -> None:
    with ScriptedFront() as front:
        work(server, front.url, "behind:asgi", "--slots", "1")
        (one,) = front.attached(1)
        protocol = websocket_on(one)
        protocol.send_text(b"hello")
        for data in protocol.data_to_send():
            one.send(data)
        protocol.receive_data(one.read(7))
        (echoed,) = protocol.events_received()
        assert isinstance(echoed, Frame)
        assert (echoed.opcode, bytes(echoed.data)) == (Opcode.TEXT, b"hello")
        one.close()
        # Its slot is free again.
        assert json.loads(front.attached(1)[0].request(FORWARDED).body)[0] == "192.0.2.7"


def test_bodies_of_every_size_come_through(server: Servers) -> None:
    with ScriptedFront() as front:
        work(server, front.url, "plain:app", "--threads", "1")
        (one,) = front.attached(1)
        body = b"x" * 500_000
        one.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert one.response().body == b"500000"
        one.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert one.response().body == b"3"
        assert len(one.request(b"GET /big/3000000 HTTP/1.1\r\nHost: a\r\n\r\n").body) == 3_000_000


@pytest.mark.parametrize("way", ["inline", "threads", "greenlets", "fork", "asyncio"])
def test_tls(server: Servers, tmp_path: Path, way: str) -> None:
    name, options = options_of(way)
    authority = Authority(tmp_path)
    with ScriptedFront(tls=authority.server_context()) as front:
        site = work(server, front.url, f"plain:{name}", *options, "--slots", "2", "--from-ca", str(authority.ca))
        one, other = front.attached(2, releases=True)
        assert one.request(GET).body == b"ok"
        assert len(other.request(b"GET /big/3000000 HTTP/1.1\r\nHost: a\r\n\r\n").body) == 3_000_000
        one.close()
        (again,) = front.attached(1, releases=True)
        assert again.request(GET).body == b"ok"
        site.process.send_signal(signal.SIGTERM)
        assert b"Drawbar-Released: 1" in other.read_to_end()
        other.close()
        again.close()
        assert site.wait() == 0


def test_a_front_that_nobody_vouches_for_gets_no_request(server: Servers, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with ScriptedFront(tls=authority.server_context()) as front:
        site = work(server, front.url, "plain:app", "--threads", "1")
        with pytest.raises(OSError, match=r"."):
            front.accept()
        site.log.wait_for("error: worker 1: .* its certificate is not trusted: ")


def test_the_pause_of_one_worker_leaves_requests_to_others(server: Servers) -> None:
    with ScriptedFront() as front:
        site = work(server, front.url, "plain:app", "--threads", "1")
        (one,) = front.attached(1, releases=True)
        pid = int(one.request(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n").body)
        os.kill(pid, signal.SIGTTOU)
        assert b"Drawbar-Released: 1" in one.read_to_end()
        one.close()
        os.kill(pid, signal.SIGTTIN)
        (again,) = front.attached(1)
        assert int(again.request(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n").body) == pid
        site.stop()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "no front to take requests from; write drawbar work plain:app --from http://HOST:4242, the API of"),
        (("--from", "http://a:1", "--from", "http://a:1/"), "http://a:1 is listed twice"),
        (("--from", "127.0.0.1:1", "--app", "blog"), "is not the address of a front; write http://HOST:PORT"),
        (("--from", "http://a:1", "--app", "a b"), "is not a name"),
        (
            ("--from", "http://a:1", "--app", "blog", "--token-file", "/nowhere"),
            "--token-file: /nowhere cannot be used",
        ),
        (("--from", "https://a:1", "--app", "blog", "--from-ca", "/nowhere"), "--from-ca: /nowhere cannot be used"),
        (("--from", "https://a:1", "--app", "blog", "--from-key", "/k"), "a key without its certificate"),
        (("--from", "http://a:1", "--app", "blog", "--inetd"), "dials its connections, and inetd passes one"),
    ],
)
def test_a_mistake_is_told_at_the_start(server: Servers, options: tuple[str, ...], said: str) -> None:
    site = server("plain:app", *options, command="work", bind=None, chdir=SITES, ready=False)
    assert site.wait() == 2
    assert said in site.log.text


def test_what_has_no_effect_or_a_danger_is_said(server: Servers, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    options = ["--from", "http://front.invalid:1", "--app", "blog", "--token-file", str(token)]
    site = server("plain:app", *options, command="work", bind="127.0.0.1:0", chdir=SITES)
    assert re.search(r"server\.bind = 127\.0\.0\.1:0 .* is not used: drawbar work listens nowhere", site.log.text)
    assert "the token goes to http://front.invalid:1 in plain text" in site.log.text
    assert "secret" not in site.log.text
