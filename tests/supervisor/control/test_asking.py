"""Asking a front: what it really says is understood, and whoever says nothing, or nonsense, holds nobody up."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar.supervisor.control.asking import SHOWN, ask_front, queues_of
from drawbar.supervisor.control.status import Front, QueueRequest, QueueWorker
from tests.support.calls import message
from tests.support.pulling import Pulled

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Scripted:
    """A socket that gives one answer, whatever it is asked; `asked` is what came."""

    def __init__(self, path: str, answer: bytes) -> None:
        self.path = path
        self.asked = b""
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            while b"\r\n\r\n" not in self.asked:
                self.asked += connection.recv(4096)
            connection.sendall(self._answer)

    def front(self) -> Front:
        """What is made of the answer."""
        try:
            return ask_front(self.path)
        finally:
            self._thread.join()
            self._listener.close()


@pytest.fixture(name="told")
def _told() -> Iterator[dict[str, Any]]:
    """The status of a front with a worker at work, one request answered and one that waits."""
    with Pulled({"shop": {"length": 7}, "blog": {}}) as pulled:
        worker = pulled.worker(
            message("GET /api/v2/attach?app=shop&label=v7&worker=w1", "Connection: upgrade", "Upgrade: PTTH/1.0")
        )
        worker.read_until(b"\r\n\r\n")
        first = pulled.client(message("GET /shop/first"))
        worker.read_until(b"\r\n\r\n")
        worker.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert first.response().status == 200
        pulled.client(message("GET /shop/slow"))
        worker.read_until(b"\r\n\r\n")
        pulled.advance(2)
        pulled.client(message("GET /shop/waits"))
        pulled.advance(2)
        yield json.loads(pulled.call("GET /api/v2/status?most=50").body)


def test_what_a_front_says_is_understood(told: dict[str, Any]) -> None:
    shop, blog = queues_of(told)
    assert (shop.app, shop.queued, shop.length, shop.leased, shop.idle) == ("shop", 1, 7, 1, 0)
    assert 1.8 <= shop.oldest_s <= 2.2
    assert shop.workers == [QueueWorker("w1", "v7", "attach", 0, 1)]
    assert [(label.label, label.given, label.answered) for label in shop.labels] == [("v7", 2, 1)]
    assert [(histogram.count) for histogram in (shop.client, shop.queue, shop.called)] == [1, 1, 1]
    slow, waits = shop.requests
    assert (slow.request, slow.worker, slow.label, slow.attempts) == ("GET /shop/slow", "w1", "v7", 1)
    assert (waits.request, waits.worker, waits.attempts) == ("GET /shop/waits", "", 0)
    assert (blog.ready, blog.reason, blog.requests) == (False, "no worker is there", [])


def test_no_more_is_asked_for_than_is_shown(told: dict[str, Any], tmp_path: Path) -> None:
    body = json.dumps(told).encode()
    scripted = Scripted(str(tmp_path / "front.sock"), HEAD % len(body) + body)
    assert scripted.front().queues == queues_of(told)
    assert scripted.asked.startswith(b"GET /api/v2/status?most=%d HTTP/1.1\r\n" % SHOWN)


def test_oldest_first_and_those_answered_last(told: dict[str, Any]) -> None:
    shop = told["apps"]["shop"]
    shop["requests"][0]["answering"] = True
    assert [request.request for request in queues_of(told)[0].requests] == ["GET /shop/waits", "GET /shop/slow"]
    shop["waiting"] = shop["waiting"] * 100
    assert len(queues_of(told)[0].requests) == SHOWN
    assert isinstance(queues_of(told)[0].requests[0], QueueRequest)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        HEAD % 2 + b"[]",
        HEAD % 2 + b"{}",
        HEAD % 100 + b"{",
        HEAD % 24 + b'{"apps":{"shop":{"a":1}}}'[:24],
    ],
)
def test_whatever_is_no_status_is_silence(tmp_path: Path, answer: bytes) -> None:
    front = Scripted(str(tmp_path / "front.sock"), answer).front()
    assert front.queues == []
    assert front.silent is not None
    assert front.silent.startswith("the front")


def test_a_front_that_is_not_there(tmp_path: Path) -> None:
    assert ask_front(str(tmp_path / "none.sock")).silent is not None
