"""A front for the tests of workers: the three lanes as simply as they can be, and strict about what a worker does.

One thread for each connection, blocking reads, no deadlines of its own. It forgives nothing: whatever a worker does
that the protocol does not say is kept in `complaints`, which a test's end finds empty. What a client sees it sees from
the public port, so that a real front can stand in its place.
"""

import select
import socket
import threading
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import h11

from tests.support.server import PATIENCE_S
from tests.support.stub_lanes import Lanes
from tests.support.stub_parts import (
    ATTEMPTS,
    HOP_BY_HOP,
    READ_BYTES,
    RELEASED,
    SAFE,
    Answer,
    Job,
    Message,
    Reply,
    receive,
)

PROTOCOL = "PTTH/1.0"


@dataclass(eq=False)
class Slot:
    """An idle attached connection: room for one request."""

    socket: socket.socket
    label: str
    job: Job | None = field(default=None)


class StubFront:
    """Serves `app` on two ports of 127.0.0.1. token: what workers must bring. api_port: 0 for any."""

    def __init__(self, app: str = "site", token: str = "", api_port: int = 0) -> None:
        self.app = app
        self.token = token
        self.complaints: list[str] = []
        self.dialled = 0  # connections that were ever attached
        self.changed = threading.Condition()
        self.queue: deque[Job] = deque()
        self.leased: dict[str, Job] = {}
        self.idle: list[Slot] = []
        self._open: set[socket.socket] = set()
        self._lanes = Lanes(self)
        self._public = socket.create_server(("127.0.0.1", 0))
        self.public: tuple[str, int] = self._public.getsockname()
        self._api = socket.create_server(("127.0.0.1", api_port))
        self.api_port: int = self._api.getsockname()[1]
        self._accept(self._public, self._serve_client)
        self._accept(self._api, self._serve_worker)

    @property
    def url(self) -> str:
        """What a worker is given as --from."""
        return f"http://127.0.0.1:{self.api_port}"

    def close(self) -> None:
        """Ends all connections. AssertionError when it found something to complain about."""
        self.close_api()
        self._public.shutdown(socket.SHUT_RDWR)
        self._public.close()
        for opened in list(self._open):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        assert self.complaints == []

    def close_api(self) -> None:
        """Refuses workers from now on, and lets go of those that are idle."""
        with suppress(OSError):
            self._api.shutdown(socket.SHUT_RDWR)
        self._api.close()
        with self.changed:
            for slot in self.idle:
                slot.socket.close()
            self.idle.clear()

    def open_api(self) -> None:
        """Takes workers again, on the same port."""
        self._api = socket.create_server(("127.0.0.1", self.api_port))
        self._accept(self._api, self._serve_worker)

    def wait_for_slots(self, count: int, label: str = "") -> None:
        """Returns once `count` attached connections with `label` are idle."""
        with self.changed:
            assert self.changed.wait_for(lambda: sum(slot.label == label for slot in self.idle) >= count, PATIENCE_S), (
                f"{len(self.idle)} of {count} slots; complaints: {self.complaints}"
            )

    def complain(self, about: str) -> None:
        """Keeps what a worker did wrong."""
        self.complaints.append(about)

    # -- the queue ----------------------------------------------------------------------------------------------------

    def give(self, slot: Slot) -> None:
        """A place for a request: the first that waits, or the next to come."""
        with self.changed:
            if self.queue:
                slot.job = self.queue.popleft()
                slot.job.slot = slot
            else:
                self.idle.append(slot)
            self.changed.notify_all()

    def _wait_for_place(self, job: Job, *, again: bool = False) -> None:
        """Returns once `job` has a slot, or an answer came by one of the other lanes."""
        with self.changed:
            job.slot = None
            while self.idle and job.slot is None:
                slot = self.idle.pop()
                if self._is_alive(slot):
                    job.slot = slot
            if job.slot is None:
                self.queue.appendleft(job) if again else self.queue.append(job)
                self.changed.notify_all()
                assert self.changed.wait_for(lambda: job.slot is not None or job.answer is not None, PATIENCE_S)

    def _is_alive(self, slot: Slot) -> bool:
        if not select.select([slot.socket], [], [], 0)[0]:
            return True
        with suppress(OSError):
            data = slot.socket.recv(READ_BYTES)
            if data and RELEASED not in data:
                self.complain(f"an idle attached connection sent {data[:80]!r}")
        slot.socket.close()
        return False

    # -- the public port ----------------------------------------------------------------------------------------------

    def _serve_client(self, client: socket.socket) -> None:
        connection = h11.Connection(h11.SERVER)
        message = receive(client, connection)
        if message is None:
            return
        job = Job(str(uuid.uuid4()), message, client)
        while True:
            job.attempts += 1
            self._wait_for_place(job, again=job.attempts > 1)
            if job.answer is not None:
                self._put(job, connection, job.answer)
                return
            verdict = self._deliver(job, connection)
            if verdict == "done":
                return
            if message.method not in SAFE or job.attempts >= ATTEMPTS:
                self._put(job, connection, Answer(502, [], b"lost\n"))
                return

    def _put(self, job: Job, connection: h11.Connection, answer: Answer) -> None:
        fields = [(name, value) for name, value in answer.fields if name.lower() not in HOP_BY_HOP]
        with suppress(OSError):
            for event in (
                h11.Response(status_code=answer.status, headers=[*fields, (b"Connection", b"close")]),
                h11.Data(data=b"" if job.message.method == b"HEAD" else answer.body),
                h11.EndOfMessage(),
            ):
                job.client.sendall(connection.send(event) or b"")

    # -- lane attach --------------------------------------------------------------------------------------------------

    def _deliver(self, job: Job, connection: h11.Connection) -> str:
        """One attempt over an attached connection: `done`, or `lost` when no byte of a response came."""
        slot = job.slot
        assert isinstance(slot, Slot)
        worker = h11.Connection(h11.CLIENT)
        data = b"".join(worker.send(event) or b"" for event in self._forwarded(job))
        # By a thread: a worker may answer before it has read all.
        threading.Thread(target=self._send, args=(slot.socket, data), daemon=True).start()
        try:
            return self._relay(job, slot, connection, worker)
        except h11.RemoteProtocolError as error:
            # To cut a response off is how a worker says that it failed.
            if not str(error).startswith("peer closed connection"):
                self.complain(f"{job.message.target!r}: not a response: {error}")
            slot.socket.close()
            return "done" if job.begun else "lost"

    def _forwarded(self, job: Job) -> list[h11.Event]:
        """The request as the worker gets it."""
        message = job.message
        drop = HOP_BY_HOP - ({b"upgrade", b"connection"} if message.is_upgrade else set())
        fields = [(name, value) for name, value in message.fields if name.lower() not in drop | {b"content-length"}]
        if message.chunked:
            fields.append((b"Transfer-Encoding", b"chunked"))
        elif message.body or message.method in (b"POST", b"PUT"):
            fields.append((b"Content-Length", b"%d" % len(message.body)))
        fields += [
            (b"X-Forwarded-For", b"127.0.0.1"),
            (b"X-Forwarded-Proto", b"http"),
            (b"X-Forwarded-Host", message.header(b"host")),
            (b"X-Request-Start", b"t=1700000000.000001"),
            (b"Drawbar-Request-Id", job.id.encode()),
            (b"Drawbar-Deadline-Ms", b"60000"),
            (b"Drawbar-Attempt", b"%d" % job.attempts),
        ]
        middle = len(message.body) // 2
        return [
            h11.Request(method=message.method, target=message.target, headers=fields),
            h11.Data(data=message.body[:middle]),
            h11.Data(data=message.body[middle:]),
            h11.EndOfMessage(),
        ]

    def _send(self, to: socket.socket, data: bytes) -> None:
        with suppress(OSError):
            to.sendall(data)

    def _relay(self, job: Job, slot: Slot, connection: h11.Connection, worker: h11.Connection) -> str:
        while True:
            event = worker.next_event()
            if event is h11.NEED_DATA:
                if not self._read(job, slot, worker):
                    return "done"
            elif isinstance(event, h11.InformationalResponse):
                if event.status_code == 101:
                    self._tunnel(job, slot, connection, event, worker)
                    return "done"
                job.client.sendall(connection.send(event) or b"")
            elif not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
                slot.socket.close()
                return "lost"
            elif isinstance(event, h11.Event) and not self._pass(job, slot, connection, event):
                return "done"
            elif isinstance(event, h11.EndOfMessage):
                self._keep(job, slot, worker)
                return "done"

    def _read(self, job: Job, slot: Slot, worker: h11.Connection) -> bool:
        """More bytes from the worker; False when the client left before."""
        ready, _, _ = select.select([slot.socket, job.client], [], [])
        if slot.socket not in ready and job.client.recv(1, socket.MSG_PEEK) == b"":
            slot.socket.close()
            return False
        try:
            worker.receive_data(slot.socket.recv(READ_BYTES))
        except ConnectionResetError:
            worker.receive_data(b"")
        return True

    def _pass(self, job: Job, slot: Slot, connection: h11.Connection, event: h11.Event) -> bool:
        """Sends a part of the response to the client; False when it left, which the worker hears by the close."""
        if isinstance(event, h11.Response):
            job.begun = True
            fields = [(name, value) for name, value in event.headers.raw_items() if name.lower() not in HOP_BY_HOP]
            event = h11.Response(
                status_code=event.status_code, reason=event.reason, headers=[*fields, (b"Connection", b"close")]
            )
        try:
            job.client.sendall(connection.send(event) or b"")
        except OSError:
            slot.socket.close()
            return False
        return True

    def _keep(self, job: Job, slot: Slot, worker: h11.Connection) -> None:
        """What becomes of a connection behind a whole response."""
        if RELEASED in worker.trailing_data[0]:
            slot.socket.close()
            return
        if worker.trailing_data[0]:
            self.complain(f"{job.message.target!r}: bytes after the response: {worker.trailing_data[0][:80]!r}")
        if worker.their_state is h11.MUST_CLOSE or worker.their_state is h11.CLOSED:
            slot.socket.close()
            return
        slot.job = None
        self.give(slot)

    def _tunnel(
        self,
        job: Job,
        slot: Slot,
        connection: h11.Connection,
        event: h11.InformationalResponse,
        worker: h11.Connection,
    ) -> None:
        job.begun = True
        job.client.sendall(connection.send(event) or b"")
        job.client.sendall(worker.trailing_data[0])
        other = {job.client: slot.socket, slot.socket: job.client}
        with suppress(OSError):
            while True:
                for end in select.select(list(other), [], [])[0]:
                    if not (data := end.recv(READ_BYTES)):
                        slot.socket.close()
                        return
                    other[end].sendall(data)

    # -- the API ------------------------------------------------------------------------------------------------------

    def _serve_worker(self, sock: socket.socket) -> None:
        connection = h11.Connection(h11.SERVER)
        while (message := receive(sock, connection)) is not None:
            if urlsplit(message.target).path == b"/api/v2/attach":
                if self._attach(sock, connection, message):
                    self._open.discard(sock)
                    return
            else:
                self._reply(sock, connection, self._lanes.answer(message))
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    def _reply(self, sock: socket.socket, connection: h11.Connection, reply: Reply) -> None:
        fields = [
            ("Content-Type", reply.kind),
            *reply.fields,
            *([] if reply.status == 204 else [("Content-Length", str(len(reply.body)))]),
        ]
        sock.sendall(connection.send(h11.Response(status_code=reply.status, headers=fields)) or b"")
        sock.sendall(connection.send(h11.Data(data=reply.body)) or b"")
        sock.sendall(connection.send(h11.EndOfMessage()) or b"")

    def _attach(self, sock: socket.socket, connection: h11.Connection, message: Message) -> bool:
        """True when `sock` is attached now."""
        if refused := self._lanes.refuse(message):
            self._reply(sock, connection, refused)
            return False
        query = parse_qs(urlsplit(message.target).query.decode(), keep_blank_values=True)
        wrong = [
            *(["method"] if message.method != b"GET" else []),
            *(["Connection"] if message.header(b"connection").lower() != b"upgrade" else []),
            *(["Upgrade"] if message.header(b"upgrade") != PROTOCOL.encode() else []),
            *(["body"] if message.body else []),
        ]
        if wrong:
            self.complain(f"attach: wrong {', '.join(wrong)} in {message.fields}")
            self._reply(sock, connection, self._lanes.problem(400, f"wrong {', '.join(wrong)}"))
            return False
        switch = h11.InformationalResponse(
            status_code=101,
            headers=[("Connection", "Upgrade"), ("Upgrade", PROTOCOL)],
            reason=b"Switching Protocols",
        )
        sock.sendall(connection.send(switch) or b"")
        label = query.get("label", [""])[0]
        with self.changed:
            self.dialled += 1
        self.give(Slot(sock, label))
        return True

    # -- threads ------------------------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        def run() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=guarded, args=(sock,), daemon=True).start()

        def guarded(sock: socket.socket) -> None:
            self._open.add(sock)
            try:
                with suppress(OSError):
                    serve(sock)
            except h11.RemoteProtocolError as error:
                self.complain(f"not a request: {error}")
            finally:
                if sock in self._open:
                    self._open.discard(sock)
                    sock.close()

        threading.Thread(target=run, daemon=True).start()
