"""Workers that come, work and leave."""

import socket

import pytest

from drawbar.pull.attach import send_away
from tests.support.fronts import GET, OK, FrontSite, Worker, field

ATTACH = b"GET /?app=%s&label=v1 HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi"


def test_an_idle_connection_is_room_for_one_request() -> None:
    with FrontSite() as site:
        workers = [site.worker(), site.worker()]
        assert (site.queue.idle, len(site.front.attached)) == (2, 2)
        clients = [site.connect() for _ in range(3)]
        for client in clients:
            client.send(GET)
        assert (site.queue.idle, site.queue.leased, site.queue.queued) == (0, 2, 1)
        for worker in workers:
            assert field(worker.request(), "Drawbar-Attempt") == "1"
        workers[0].send(OK)
        assert workers[0].serve().startswith(b"GET / ")
        workers[1].send(OK)
        assert [client.response().body for client in clients] == [b"ok"] * 3
        assert (site.queue.idle, site.queue.answered) == (2, 3)


def test_a_worker_is_told_which_attempt_at_what_it_gets_and_until_when() -> None:
    with FrontSite(queue={"deadline_ms": 5_000}) as site:
        client = site.connect()
        client.send(GET)
        site.advance(2)
        worker = site.worker()
        head = worker.request()
        first = field(head, "Drawbar-Request-Id")
        assert first is not None
        assert len(first) == 32
        assert 2_900 <= int(field(head, "Drawbar-Deadline-Ms") or "") <= 3_000
        worker.close()
        head = site.worker().request()
        assert (field(head, "Drawbar-Request-Id"), field(head, "Drawbar-Attempt")) == (first, "2")


@pytest.mark.parametrize(
    ("app", "protocol", "status"), [(b"app", b"websocket", 426), (b"other", b"PTTH/1.0", 404), (b"app", b"", 426)]
)
def test_who_asks_for_something_else_is_told(app: bytes, protocol: bytes, status: int) -> None:
    with FrontSite() as site:
        client = site.worker()
        client.close()
        other = type(client)(site.private)
        other.send(ATTACH % (app, protocol))
        response = other.response()
        assert response.status == status
        assert response.header("upgrade") == ("PTTH/1.0" if status == 426 else None)
        assert site.queue.idle == 0
        other.close()


def test_a_worker_that_speaks_before_it_is_asked_is_none() -> None:
    with FrontSite() as site:
        worker = site.worker()
        worker.close()
        early = type(worker)(site.private)
        early.send(ATTACH % (b"app", b"PTTH/1.0") + OK)
        assert early.read_to_end().startswith(b"HTTP/1.1 101 ")
        assert (site.queue.idle, len(site.front.attached)) == (0, 0)
        early.close()


def test_an_upgrade_behind_another_request_comes_with_both_answers() -> None:
    with FrontSite() as site:
        worker = site.worker()
        worker.close()
        late = type(worker)(site.private)
        late.send(ATTACH % (b"other", b"PTTH/1.0") + ATTACH % (b"app", b"PTTH/1.0"))
        assert late.response().status == 404
        assert late.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        client = site.connect()
        client.send(GET)
        assert late.read_until(b"\r\n\r\n").startswith(b"GET / ")
        late.send(OK)
        assert client.response().status == 200
        late.close()


def test_an_idle_worker_that_leaves_is_no_room() -> None:
    with FrontSite() as site:
        for leave in (Worker.close, Worker.end, Worker.reset):
            leave(site.worker())
            assert (site.queue.idle, len(site.front.attached)) == (0, 0)


def test_a_request_for_a_worker_that_left_a_moment_ago_goes_to_another() -> None:
    with FrontSite() as site:
        stays, leaves = site.worker(), site.worker()
        client = site.connect()
        # Neither is seen by the reactor yet, and the client's event may come first.
        client.socket.send(POST)
        leaves.socket.close()
        site.settle()
        head = stays.serve()
        assert client.response("POST").status == 200
        # Nobody has begun it: the attempt does not count.
        assert field(head, "Drawbar-Attempt") == "1"


def test_what_follows_an_answer_unread_is_no_answer_to_the_next_request() -> None:
    with FrontSite() as site:
        worker = site.worker()
        clients = [site.connect() for _ in range(2)]
        for client in clients:
            client.send(GET)
        worker.request()
        # A head that comes in two pieces is read on into a buffer of 16 KB: this answer fills it to the last byte.
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
        whole = head % (16_384 - len(head % 16_384)) + bytes(16_384 - len(head % 16_384))
        worker.send(whole[:1])
        worker.send(whole[1:] + OK.replace(b"ok", b"no"))
        assert clients[0].response().status == 200
        site.until(worker.poll, worker.socket.fileno())
        assert (worker.ended, worker.received) == ("reset", b"")
        assert field(site.worker().serve(), "Drawbar-Attempt") == "1"
        assert clients[1].response().body == b"ok"


def test_a_label_that_is_sent_away_finishes_what_it_has() -> None:
    with FrontSite() as site:
        busy, client = site.worker("old"), site.connect()
        client.send(GET)
        busy.request()
        idle, new = site.worker("old"), site.worker("new")
        send_away(site.front, "app", "old")
        assert idle.read_to_end() == b""
        busy.send(OK)
        assert client.response().status == 200
        assert busy.read_to_end() == b""
        late = type(new)(site.private)
        late.send(ATTACH.replace(b"v1", b"old") % (b"app", b"PTTH/1.0"))
        assert late.read_to_end().startswith(b"HTTP/1.1 101 ")
        late.close()
        assert [worker.label for worker in site.front.attached] == ["new"]


def test_one_that_is_sent_away_is_asked_to_leave_with_its_last_request() -> None:
    with FrontSite() as site:
        worker, client = site.worker(), site.connect()
        [attached] = site.front.attached
        client.send(GET + GET)
        worker.request()
        attached.send_away()
        worker.send(OK)
        assert worker.read_to_end() == b""
        site.worker().serve()
        assert [client.response().body for _ in range(2)] == [b"ok", b"ok"]


def test_the_kernel_asks_after_workers_that_fall_silent() -> None:
    with FrontSite() as site:
        site.worker()
        [descriptor] = [attached.fd for attached in site.front.attached]
        with socket.socket(fileno=socket.dup(descriptor)) as seen:
            assert seen.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            ask = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT]
            assert [seen.getsockopt(socket.IPPROTO_TCP, option) for option in ask] == [5, 2, 3, 10_000]
            assert seen.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_a_drain_waits_for_clients_and_not_for_workers() -> None:
    with FrontSite() as site:
        worker, client = site.worker(), site.connect()
        client.send(GET)
        worker.request()
        assert site.reactor.connections == 1
        site.reactor.drain()
        site.settle()
        worker.send(OK)
        response = client.response()
        assert (response.status, response.header("connection")) == (200, "close")
        client.close()
        assert site.reactor.connections == 0
        assert site.queue.idle == 1
