"""Clients and workers that come, go, break off and talk nonsense in any order: what holds whatever happens.

Each request has a number, which its worker repeats in the answer. So an answer that reached the wrong client shows, and
so does a request that ran twice.
"""

import contextlib
import random
from collections import Counter

import h11
import pytest

from tests.support.fronts import FrontSite, Worker
from tests.support.inprocess import Client

STEPS = 2_000
LARGE_BYTES = 40_000


class Upheaval:
    """Does something at random, `STEPS` times, and sees the rest through."""

    def __init__(self, site: FrontSite, seed: int) -> None:
        self.site = site
        self.random = random.Random(seed)
        self.clients: list[Client] = []
        self.asked: dict[Client, list[tuple[str, int]]] = {}
        self.workers: list[Worker] = []
        self.unserved: dict[Worker, bytes] = {}
        self.runs: Counter[int] = Counter()
        self.methods: dict[int, str] = {}
        self.statuses: Counter[int] = Counter()

    def step(self) -> None:
        self.random.choice(
            [
                *([self.ask] * 8 + [self.serve] * 12 + [self.read] * 8 + [self.join, self.connect] * 3),
                *(self.die, self.leave, self.babble, self.half, self.later),
            ]
        )()

    def connect(self) -> None:
        if len(self.clients) < 8:
            self.clients.append(self.site.connect())
            self.asked[self.clients[-1]] = []

    def join(self) -> None:
        if len(self.workers) < 5:
            self.workers.append(self.site.worker())

    def ask(self) -> None:
        if not self.clients:
            return
        client = self.random.choice(self.clients)
        for _ in range(self.random.choice((1, 1, 1, 3))):
            number = len(self.methods)
            self.methods[number] = method = self.random.choice(("GET", "POST", "PUT", "HEAD"))
            body = b"x" * self.random.choice((0, 0, 5, LARGE_BYTES))
            self.asked[client].append((method, number))
            head = f"{method} /{number} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n"
            with contextlib.suppress(ConnectionError):
                client.send(head.encode() + body)

    def pending(self, worker: Worker) -> tuple[str, int] | None:
        """The request a worker has, counted as run; None when it has none whole."""
        data = self.unserved.get(worker, b"") + worker.available()
        self.unserved[worker] = data
        head, end, body = data.partition(b"\r\n\r\n")
        if not end or worker.ended:
            return None
        size = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), 0)
        if len(body) < size:
            return None
        assert len(body) == size, "more than one request at a time"
        self.unserved[worker] = b""
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        self.runs[int(target[1:])] += 1
        return method, int(target[1:])

    def drop(self, worker: Worker) -> None:
        worker.close()
        self.workers.remove(worker)

    def serve(self) -> None:
        for worker in list(self.workers):
            found = self.pending(worker)
            if worker.ended:
                self.drop(worker)
            elif found is not None:
                self.answer(worker, *found)
                return

    def answer(self, worker: Worker, method: str, number: int) -> None:
        body = b"" if method == "HEAD" else (b"%d " % number) * self.random.choice((1, 10_000))
        head = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\n" % number
        if self.random.random() < 0.5:
            worker.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            return
        worker.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        if method != "HEAD":
            worker.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    def die(self) -> None:
        if self.workers:
            worker = self.random.choice(self.workers)
            self.pending(worker)
            self.drop(worker)

    def half(self) -> None:
        """A worker that dies inside its answer."""
        for worker in list(self.workers):
            found = self.pending(worker)
            if found is not None:
                answer = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\nContent-Length: 90\r\n\r\n%d half" % (found[1], found[1])
                worker.send(answer[: self.random.randrange(1, len(answer))])
                self.drop(worker)
                return

    def babble(self) -> None:
        for worker in list(self.workers):
            if self.pending(worker) is not None:
                worker.send(b"nonsense\r\n\r\n")
                self.drop(worker)
                return

    def leave(self) -> None:
        if self.clients:
            client = self.clients.pop(self.random.randrange(len(self.clients)))
            del self.asked[client]
            self.random.choice((client.close, client.reset))()

    def later(self) -> None:
        self.site.advance(self.random.random())

    def read(self) -> None:
        """Takes an answer, if one has come."""
        for client in list(self.clients):
            client.received = client.available()
            if self.asked[client] and (client.received or client.ended):
                self.take(client)
                return

    def take(self, client: Client) -> None:
        method, number = self.asked[client].pop(0)
        try:
            response = client.response(method)
        except (AssertionError, h11.RemoteProtocolError):
            # Broken off: it ends with its connection.
            assert client.ended
            self.clients.remove(client)
            del self.asked[client]
            return
        self.statuses[response.status] += 1
        assert response.status in (200, 502)
        if response.status == 200:
            assert response.header("x-number") == str(number)
            assert set(response.body.split()) <= {b"%d" % number}

    def finish(self) -> None:
        """With one good worker everybody is answered."""
        for worker in list(self.workers):
            self.drop(worker)
        self.join()
        while any(self.asked.values()):
            self.serve()
            self.read()
            if not self.workers:
                self.join()


@pytest.mark.parametrize("seed", range(12))
def test_every_client_is_answered_once_and_by_its_own_answer(seed: int) -> None:
    with FrontSite(queue={"deadline_ms": 0, "queue_ms": 0}, policy={"body_memory_bytes": 10_000}) as site:
        upheaval = Upheaval(site, seed)
        for _ in range(STEPS):
            upheaval.step()
        upheaval.finish()
        assert upheaval.statuses[200] > 100
        for number, runs in upheaval.runs.items():
            assert runs <= (1 if upheaval.methods[number] == "POST" else 3)
        assert (site.queue.queued, site.queue.leased) == (0, 0)
