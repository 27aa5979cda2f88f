"""Many clients, many threads, everything at once: each complete request gets exactly one right answer, in order.

What clients do follows from SEED. What threads do is up to the machine; a held call is let go only after the leading
thread has answered, so each call that was made in place while held meant a takeover.
"""

import queue
import random
import threading
from typing import Any

import pytest

from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S
from tests.support.threaded import Threaded, get

SEED = 20_261
CLIENTS = 8
ROUNDS = 12
MOST_PIPELINED = 6


class Site:
    """An application whose `/hold` calls wait until `release()` has let them go, in an order the seed decides."""

    def __init__(self) -> None:
        self.held: queue.Queue[threading.Event | None] = queue.Queue()
        self.most = 0
        self.running = 0
        self.lock = threading.Lock()
        self.calls: dict[str, int] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path: str = environ["PATH_INFO"]
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.calls[path] = self.calls.get(path, 0) + 1
        try:
            if path.startswith("/hold"):
                event = threading.Event()
                self.held.put(event)
                assert event.wait(PATIENCE_S)
            body = environ["wsgi.input"].read()
            start_response("200 OK", [])
            return [path.encode(), b" ", body]
        finally:
            with self.lock:
                self.running -= 1

    def release(self, site: Threaded, choose: random.Random) -> None:
        """Lets held calls go until there comes a None."""
        waiting: list[threading.Event] = []
        while True:
            event = self.held.get()
            while event is not None:
                waiting.append(event)
                try:
                    event = self.held.get_nowait()
                except queue.Empty:
                    break
            else:
                return
            site.leader()
            choose.shuffle(waiting)
            # At least one, or nothing might ever move again.
            for _ in range(choose.randint(1, len(waiting))):
                waiting.pop().set()
            if waiting:
                self.held.put(waiting.pop())


def request(kind: str, name: str, choose: random.Random) -> tuple[bytes, bytes]:
    """Bytes of a request, and the body its answer must have."""
    path = f"/{kind}/{name}"
    body = choose.randbytes(choose.choice([0, 1, 100, 70_000, 200_000]))
    match choose.randrange(3):
        case 0:
            return get(path), path.encode() + b" "
        case 1:
            head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {len(body)}\r\n\r\n"
            return head.encode() + body, path.encode() + b" " + body
        case _:
            pieces = [body[start : start + 30_000] for start in range(0, len(body), 30_000)]
            coded = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            head = f"PUT {path} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
            return head.encode() + coded + b"0\r\n\r\n", path.encode() + b" " + body


def converse(site: Threaded, number: int, wrong: list[str]) -> None:
    """One client's life: connections with pipelined requests in random pieces, some left in the middle."""
    choose = random.Random(f"{SEED} {number}")
    for turn in range(ROUNDS):
        client = RawClient(site.address)
        try:
            for part in range(choose.randint(1, 3)):
                if not exchange(client, f"{number}/{turn}/{part}", choose, wrong):
                    break
        except (OSError, EOFError, AssertionError) as error:
            wrong.append(f"{number}/{turn}: {error!r}")
        finally:
            client.close()


def exchange(client: RawClient, name: str, choose: random.Random, wrong: list[str]) -> bool:
    """Sends some requests at once and reads their answers. False when this client has left."""
    wanted = []
    data = b""
    for index in range(choose.randint(1, MOST_PIPELINED)):
        kind = choose.choice(["hold", "quick", "quick", "quick"])
        coded, body = request(kind, f"{name}/{index}", choose)
        data += coded
        wanted.append(body)
    leaves = choose.random() < 0.2
    if leaves:
        data = data[: choose.randint(1, len(data))]
    sender = threading.Thread(target=send, args=(client, data, choose.randint(1, 4)))
    sender.start()
    if leaves:
        sender.join(PATIENCE_S)
        choose.choice([client.reset, client.close, client.end])()
        return False
    for body in wanted:
        answer = client.response("POST")
        if (answer.status, answer.body) != (200, body):
            wrong.append(f"{name}: {answer.status} {answer.body[:60]!r} instead of {body[:60]!r}")
            return False
    sender.join(PATIENCE_S)
    return True


def send(client: RawClient, data: bytes, pieces: int) -> None:
    """On a thread of its own, as the server may send before it has read everything."""
    size = -(-len(data) // pieces)
    for start in range(0, len(data), size):
        client.send(data[start : start + size])


@pytest.mark.parametrize("stream_input", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("maximum", [1, 3, 8])
def test_every_request_gets_its_one_answer_in_order(maximum: int, stream_input: bool) -> None:
    app = Site()
    wrong: list[str] = []
    with Threaded(app, maximum, stream_input=stream_input) as site:
        releasing = threading.Thread(target=app.release, args=(site, random.Random(SEED)))
        releasing.start()
        clients = [threading.Thread(target=converse, args=(site, number, wrong)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(PATIENCE_S)
            assert not client.is_alive()
        site.drain()
        site.join()
        app.held.put(None)
        releasing.join(PATIENCE_S)
    assert wrong == []
    assert app.most <= maximum
    assert max(app.calls.values()) == 1
    assert any(path.startswith("/hold") for path in app.calls)
    assert site.executor.threads == 0
