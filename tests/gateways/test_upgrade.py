"""A connection that another protocol takes over: what a gateway may rely on.

Held against the real thing on a socket, and against the one without that the tests of gateways use.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import h11
import pytest

from drawbar.exchange.errors import ClientDisconnected
from tests.support.asgi import AsgiServer
from tests.support.frames import head
from tests.support.upgrades import FakeUpgrade

READ_BYTES = 65_536


class Bench(Protocol):
    """One upgrade, and the client at its other end."""

    upgrade: Any

    async def sends(self, data: bytes) -> None: ...
    async def reads(self, size: int) -> bytes: ...
    async def reads_to_end(self) -> bytes: ...
    async def response(self) -> tuple[int, bytes]: ...
    async def ends(self) -> None: ...
    async def breaks(self) -> None: ...
    async def settles(self) -> None:
        """Whatever the client did has reached the server."""

    def stalls(self) -> None:
        """The client stops reading until it is told to."""

    def drains(self) -> None: ...


class FakeBench:
    def __init__(self) -> None:
        self.upgrade = FakeUpgrade()
        self._read = b""

    async def sends(self, data: bytes) -> None:
        self.upgrade.client_sends(data)

    async def reads(self, size: int) -> bytes:
        while len(self._read) < size:
            self._read += self.upgrade.client_reads()
            await asyncio.sleep(0)
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    async def reads_to_end(self) -> bytes:
        assert self.upgrade.done
        return self._read + self.upgrade.client_reads()

    async def response(self) -> tuple[int, bytes]:
        assert self.upgrade.done
        assert not self.upgrade.aborted
        return self.upgrade.status, bytes(self.upgrade.body)

    async def ends(self) -> None:
        self.upgrade.client_ends()

    async def breaks(self) -> None:
        self.upgrade.client_breaks()

    async def settles(self) -> None:
        await asyncio.sleep(0)

    def stalls(self) -> None:
        self.upgrade.reads_output = False

    def drains(self) -> None:
        self.upgrade.server_drains()


class RealBench:
    def __init__(self, server: AsgiServer, client: socket.socket, upgrade: Any) -> None:
        self.server = server
        self.client = client
        self.upgrade = upgrade
        self._loop = asyncio.get_running_loop()
        self._read = b""

    async def sends(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.client, data)
        await self.settles()

    async def reads(self, size: int) -> bytes:
        while len(self._read) < size:
            data = await self._loop.sock_recv(self.client, READ_BYTES)
            assert data, "the connection ended"
            self._read += data
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    async def reads_to_end(self) -> bytes:
        while data := await self._loop.sock_recv(self.client, READ_BYTES):
            self._read += data
        return self._read

    async def response(self) -> tuple[int, bytes]:
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method="GET", target="/", headers=[("Host", "test")]))
        parser.send(h11.EndOfMessage())
        status, body = 0, b""
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                parser.receive_data(await self._loop.sock_recv(self.client, READ_BYTES))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
        return status, body

    async def ends(self) -> None:
        self.client.shutdown(socket.SHUT_WR)
        await self.settles()

    async def breaks(self) -> None:
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.client.close()
        await self.settles()

    async def settles(self) -> None:
        # On loopback what was sent is there when send() returns.
        self.server.reactor.drain_ready()

    def stalls(self) -> None:
        pass

    def drains(self) -> None:
        self.server.reactor.drain()


async def on_fake(test: Callable[[Bench], Awaitable[None]]) -> None:
    await test(FakeBench())


async def on_real(test: Callable[[Bench], Awaitable[None]]) -> None:
    loop = asyncio.get_running_loop()
    upgraded = loop.create_future()
    hold = asyncio.Event()

    async def gateway(app: object, scope: object, upgrade: Any) -> None:
        upgraded.set_result(upgrade)
        await hold.wait()
        upgrade.finished()

    server = AsgiServer(None, websocket=gateway)
    await server.open()
    client = socket.create_connection(("127.0.0.1", server.port))
    client.setblocking(False)
    await loop.sock_sendall(client, head())
    try:
        await test(RealBench(server, client, await upgraded))
    finally:
        hold.set()
        await server.shut()
        client.close()
    assert server.faults == []


Run = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture(params=[on_fake, on_real], ids=["fake", "real"])
def bench(request: pytest.FixtureRequest) -> Run:
    """Runs a test on a bench of each kind."""
    return lambda test: asyncio.run(request.param(test))


def test_bytes_go_both_ways(bench: Run) -> None:
    async def test(one: Bench) -> None:
        got: list[bytes] = []
        one.upgrade.on_data = got.append
        one.upgrade.write(b"switching")
        one.upgrade.take_over()
        assert await one.reads(9) == b"switching"
        await one.sends(b"hello")
        assert b"".join(got) == b"hello"
        one.upgrade.write(b"there")
        assert await one.reads(5) == b"there"

    bench(test)


def test_bytes_that_came_early_follow_the_take_over(bench: Run) -> None:
    async def test(one: Bench) -> None:
        got: list[bytes] = []
        one.upgrade.on_data = got.append
        await one.sends(b"early")
        assert got == []
        one.upgrade.take_over()
        await one.settles()
        assert b"".join(got) == b"early"

    bench(test)


def test_end_of_the_stream_is_no_bytes_once(bench: Run) -> None:
    async def test(one: Bench) -> None:
        got: list[bytes] = []
        one.upgrade.on_data = got.append
        one.upgrade.take_over()
        await one.sends(b"last")
        await one.ends()
        await one.settles()
        assert b"".join(got) == b"last"
        assert got[-1] == b""
        assert got.count(b"") == 1
        assert not one.upgrade.is_gone()

    bench(test)


def test_end_before_the_take_over_is_a_disconnect(bench: Run) -> None:
    async def test(one: Bench) -> None:
        left: list[bool] = []
        one.upgrade.on_disconnected = lambda: left.append(one.upgrade.is_gone())
        await one.ends()
        assert left == [False]

    bench(test)


def test_break_before_the_take_over_is_a_disconnect(bench: Run) -> None:
    async def test(one: Bench) -> None:
        left: list[bool] = []
        one.upgrade.on_disconnected = lambda: left.append(one.upgrade.is_gone())
        await one.breaks()
        assert left == [True]
        with pytest.raises(ClientDisconnected):
            one.upgrade.take_over()
        with pytest.raises(ClientDisconnected):
            one.upgrade.start_response(401, [])

    bench(test)


def test_break_after_the_take_over_ends_the_stream(bench: Run) -> None:
    async def test(one: Bench) -> None:
        got: list[bytes] = []
        one.upgrade.on_data = got.append
        one.upgrade.take_over()
        await one.breaks()
        assert got == [b""]
        assert one.upgrade.is_gone()
        with pytest.raises(ClientDisconnected):
            one.upgrade.write(b"x")

    bench(test)


def test_paused_reading_leaves_bytes_and_end_for_later(bench: Run) -> None:
    async def test(one: Bench) -> None:
        got: list[bytes] = []
        ended = asyncio.Event()

        def on_data(data: bytes) -> None:
            got.append(data)
            if not data:
                ended.set()

        one.upgrade.on_data = on_data
        one.upgrade.take_over()
        one.upgrade.pause_reading()
        await one.sends(b"later")
        await one.ends()
        assert got == []
        one.upgrade.resume_reading()
        await ended.wait()
        assert b"".join(got) == b"later"

    bench(test)


def test_much_output_must_wait_until_the_client_has_read_it(bench: Run) -> None:
    async def test(one: Bench) -> None:
        drained = asyncio.Event()
        one.upgrade.on_drained = drained.set
        one.upgrade.take_over()
        one.stalls()
        assert not one.upgrade.must_wait()
        size = 0
        while not one.upgrade.must_wait():
            one.upgrade.write(bytes(READ_BYTES))
            size += READ_BYTES
        assert one.upgrade.waiting() > 0
        assert not drained.is_set()
        await one.reads(size)
        await drained.wait()
        assert not one.upgrade.must_wait()

    bench(test)


def test_close_sends_what_is_queued_first(bench: Run) -> None:
    async def test(one: Bench) -> None:
        one.upgrade.take_over()
        one.upgrade.write(b"x" * 100_000)
        one.upgrade.close()
        one.upgrade.close()
        assert await one.reads_to_end() == b"x" * 100_000

    bench(test)


def test_nothing_is_delivered_after_close(bench: Run) -> None:
    async def test(one: Bench) -> None:
        got: list[bytes] = []
        one.upgrade.on_data = got.append
        one.upgrade.take_over()
        one.upgrade.close()
        await one.sends(b"too late")
        await one.ends()
        assert got == []

    bench(test)


def test_refusal_in_one_piece(bench: Run) -> None:
    async def test(one: Bench) -> None:
        one.upgrade.respond(403, [(b"content-type", b"text/plain")], b"no\n")
        assert await one.response() == (403, b"no\n")

    bench(test)


def test_refusal_in_pieces(bench: Run) -> None:
    async def test(one: Bench) -> None:
        one.upgrade.start_response(401, [(b"x-why", b"no")])
        one.upgrade.send_body(b"go ", False)
        one.upgrade.send_body(b"away", True)
        assert await one.response() == (401, b"go away")

    bench(test)


def test_refusal_takes_the_place_of_one_not_sent(bench: Run) -> None:
    async def test(one: Bench) -> None:
        one.upgrade.start_response(401, [])
        one.upgrade.respond(500, [], b"sorry")
        assert await one.response() == (500, b"sorry")

    bench(test)


def test_refusal_breaks_off_one_that_is_sent(bench: Run) -> None:
    async def test(one: Bench) -> None:
        one.upgrade.start_response(401, [])
        one.upgrade.send_body(b"go ", False)
        one.upgrade.respond(500, [], b"sorry")
        assert b"sorry" not in await one.reads_to_end()

    bench(test)


def test_draining_is_told_after_the_take_over(bench: Run) -> None:
    async def test(one: Bench) -> None:
        told: list[bool] = []
        one.upgrade.on_draining = lambda: told.append(True)
        one.upgrade.take_over()
        one.drains()
        assert told == [True]

    bench(test)


def test_finished_lets_go_of_everything(bench: Run) -> None:
    async def test(one: Bench) -> None:
        one.upgrade.on_data = one.upgrade.on_draining = print
        one.upgrade.take_over()
        one.upgrade.finished()
        one.upgrade.finished()
        assert one.upgrade.on_data is None
        assert one.upgrade.on_draining is None

    bench(test)
