"""An exchange served by a function: at once, later, streamed either way, and what happens when either side fails."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from drawbar.exchange.errors import AppError, BodyError, ClientDisconnected
from drawbar.exchange.exchange import Exchange
from drawbar.pull.call import Alarm, Call, CallHandler
from tests.support.calls import Door, Doors, message

TEXT = (b"Content-Type", b"text/plain")


def tell(call: Call, status: int, why: str) -> None:
    """The handler's `fail`."""
    call.respond(status, [TEXT], why.encode())


@pytest.fixture
def doors() -> Iterator[Doors]:
    with Doors() as made:
        yield made


def serving(doors: Doors, serve: Any, **policy: Any) -> Door:
    """A listener whose calls go to `serve`."""
    return doors.open(CallHandler(serve, tell), **policy)


def kept(doors: Doors, **policy: Any) -> tuple[Door, list[Call]]:
    """A listener whose calls are only kept."""
    calls: list[Call] = []
    return serving(doors, calls.append, **policy), calls


def test_a_call_is_answered_at_once(doors: Doors) -> None:
    def serve(call: Call) -> None:
        call.respond(201, [TEXT], f"{call.method} {call.path} {call.query} {call.header(b'x-one')}".encode())

    response = serving(doors, serve).request(message("PUT /a/b?c=d", "X-One: 1"))
    assert (response.status, response.body) == (201, b"PUT /a/b c=d 1")


def test_requests_of_one_connection_are_answered_in_their_order(doors: Doors) -> None:
    door, calls = kept(doors)
    client = door.connect()
    client.send(message("GET /first") + message("GET /second"))
    assert [call.path for call in calls] == ["/first"]
    calls[0].respond(200, [TEXT], b"1")
    assert client.response().body == b"1"
    calls[1].respond(200, [TEXT], b"2")
    assert client.response().body == b"2"


def test_a_call_is_answered_from_another_ones_event(doors: Doors) -> None:
    door, calls = kept(doors)
    waiting = door.connect()
    waiting.send(message("GET /wait", "X-Long: kept"))

    def serve(call: Call) -> None:
        calls[0].respond(200, [TEXT], b"for you")
        call.respond(204, [])

    other = serving(doors, serve)
    assert other.request(message("GET /")).status == 204
    assert waiting.response().body == b"for you"
    assert calls[0].is_over


def test_a_kept_call_still_knows_its_request(doors: Doors) -> None:
    door, calls = kept(doors)
    client = door.connect()
    client.send(message("GET /wait?x", "X-Long: kept"))
    # The shared buffer is the next connection's by now.
    other = door.connect()
    other.send(message("GET /" + "y" * 100, "X-Long: other"))
    assert calls[0].header(b"x-long") == "kept"
    assert ("X-Long", "kept") in calls[0].fields
    assert calls[0].remote == client.socket.getsockname()


def test_an_answer_is_streamed(doors: Doors) -> None:
    door, calls = kept(doors)
    client = door.connect()
    client.send(message("GET /"))
    calls[0].begin(200, [TEXT])
    calls[0].flush_head()
    assert b"200 OK" in client.read_until(b"\r\n\r\n")
    calls[0].write(b"one")
    assert client.read_until(b"one\r\n") == b"3\r\none\r\n"
    calls[0].finish()
    assert client.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"


def test_a_file_is_sent(doors: Doors, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789" * 10_000)

    def serve(call: Call) -> None:
        with path.open("rb") as file:
            call.begin(200, [(b"Content-Length", b"100003")])
            call.write(b"abc")
            call.send_file(file.fileno(), 0, 100_000)
            call.finish()

    assert serving(doors, serve).request(message("GET /")).body == b"abc" + path.read_bytes()


def test_a_slow_reader_is_waited_for(doors: Doors) -> None:
    door, calls = kept(doors, output_low_bytes=1_000)
    drained: list[str] = []
    client = door.connect(receive_buffer=65_536)
    client.send(message("GET /"))
    calls[0].begin(200, [(b"Content-Length", b"8000000")])
    calls[0].write(b"x" * 8_000_000)
    assert calls[0].waiting > 1_000_000
    calls[0].await_drained(lambda: drained.append("drained"))
    assert drained == []
    while not drained:
        client.available()
    assert calls[0].waiting <= 1_000
    calls[0].finish()


def test_a_body_is_collected_when_it_comes_whole_or_in_pieces(doors: Doors) -> None:
    def serve(call: Call) -> None:
        call.collect(10, lambda body: call.respond(200, [TEXT], body))

    door = serving(doors, serve)
    assert door.request(message("POST /", body=b"0123456789")).body == b"0123456789"
    assert door.request(message("POST /", body=b"")).body == b""
    assert door.request(message("POST /")).body == b""
    client = door.connect()
    for byte in message("POST /", body=b"abc"):
        client.send(bytes([byte]))
    assert client.response("POST").body == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        message("POST /", body=b"01234567890"),
        message("POST /", "Content-Length: 11"),
        message("POST /", "Transfer-Encoding: chunked") + b"b\r\n01234567890\r\n0\r\n\r\n",
        message("POST /", "Transfer-Encoding: chunked") + b"b\r\n01234567890\r\n",
    ],
)
def test_a_body_past_its_limit_is_refused(doors: Doors, data: bytes) -> None:
    door = serving(doors, lambda call: call.collect(10, lambda body: call.respond(200, [TEXT], body)))
    client = door.connect()
    client.send(data)
    response = client.response("POST")
    assert (response.status, response.body) == (413, b"the body of this request is longer than / takes")


def test_a_body_that_comes_in_pieces_past_its_limit_is_refused(doors: Doors) -> None:
    door = serving(doors, lambda call: call.collect(10, lambda body: call.respond(200, [TEXT], body)))
    client = door.connect()
    client.send(message("POST /", "Transfer-Encoding: chunked"))
    client.send(b"8\r\n01234567\r\n")
    client.send(b"8\r\n01234567\r\n")
    assert client.response("POST").status == 413


def test_who_collects_may_hear_of_a_body_that_is_too_long(doors: Doors) -> None:
    told: list[BodyError] = []

    def serve(call: Call) -> None:
        def broken(error: BodyError) -> None:
            told.append(error)
            call.respond(422, [])

        call.collect(10, lambda body: None, broken)

    door = serving(doors, serve)
    for data in (message("POST /", body=b"x" * 11), message("POST /", "Transfer-Encoding: chunked") + b"b\r\n"):
        client = door.connect()
        client.send(data)
        client.send(b"01234567890\r\n0\r\n\r\n" if b"chunked" in data else b"")
        assert client.response("POST").status == 422
    assert [error.status for error in told] == [413, 413]


def test_a_body_is_streamed(doors: Doors) -> None:
    door, calls = kept(doors)
    got: list[tuple[bytes, bool]] = []
    client = door.connect()
    client.send(message("POST /", "Content-Length: 6", "Expect: 100-continue"))
    calls[0].receive(lambda piece, last: got.append((piece, last)))
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    assert got == [(b"abc", False)]
    client.send(b"def")
    assert got == [(b"abc", False), (b"def", True)]
    calls[0].respond(204, [])
    assert client.response("POST").status == 204


def test_nothing_is_read_of_a_body_nobody_asked_for(doors: Doors) -> None:
    door = serving(doors, lambda call: call.respond(401, [TEXT], b"no"))
    client = door.connect()
    client.send(message("POST /", "Content-Length: 5000000", "Expect: 100-continue"))
    response = client.response("POST")
    assert (response.status, response.informational) == (401, [])


def test_a_paused_body_makes_its_sender_wait(doors: Doors) -> None:
    door, calls = kept(doors)
    got: list[bytes] = []
    size = 40_000_000
    client = door.connect()
    client.send(message("POST /", f"Content-Length: {size}"))

    def take(piece: bytes, last: bool) -> None:
        got.append(piece)
        calls[0].pause_body()

    calls[0].receive(take)
    sent = 0
    view = memoryview(b"x" * 1_000_000)
    while True:
        doors.settle()
        try:
            sent += client.socket.send(view[: min(len(view), size - sent)])
        except BlockingIOError:
            break
    assert sent < size
    assert len(got) == 1
    while sum(map(len, got)) < size:
        calls[0].resume_body()
        doors.settle()
        if sent < size:
            with suppress(BlockingIOError):
                sent += client.socket.send(view[: min(len(view), size - sent)])
    calls[0].respond(204, [])
    assert client.response("POST").status == 204


def test_a_sender_that_leaves_amid_its_body_is_told_of(doors: Doors) -> None:
    door, calls = kept(doors)
    told: list[BodyError] = []
    client = door.connect()
    client.send(message("POST /", "Content-Length: 6") + b"abc")
    calls[0].receive(lambda piece, last: None, told.append)
    client.end()
    assert [str(error) for error in told] == ["the client closed before the end of the body"]
    calls[0].fail(400, "half a body")
    assert client.response("POST").body == b"half a body"


def test_a_body_of_broken_framing_is_the_handlers_to_answer(doors: Doors) -> None:
    door, calls = kept(doors)
    client = door.connect()
    client.send(message("POST /", "Transfer-Encoding: chunked"))
    calls[0].receive(lambda piece, last: None)
    client.send(b"zz\r\n")
    assert client.response("POST").status == 400
    assert calls[0].is_over


@pytest.mark.parametrize("how", ["end", "reset", "close"])
def test_a_client_that_leaves_is_told_of_once(doors: Doors, how: str) -> None:
    door, calls = kept(doors)
    told: list[bool] = []
    client = door.connect()
    client.send(message("GET /"))
    calls[0].on_gone = lambda: told.append(calls[0].is_gone)
    getattr(client, how)()
    assert told == [how == "reset"]
    calls[0].abort()
    assert calls[0].is_over
    with pytest.raises(ClientDisconnected):
        calls[0].respond(200, [])


def test_what_a_function_raises_is_reported_and_answered(doors: Doors) -> None:
    def serve(call: Call) -> None:
        raise RuntimeError("broken")

    response = serving(doors, serve).request(message("GET /"))
    assert response.status == 500
    assert b"log" in response.body
    assert [str(error) for error in doors.errors] == ["broken"]
    doors.errors.clear()


def test_an_answer_that_fails_midway_is_broken_off(doors: Doors) -> None:
    def serve(call: Call) -> None:
        call.begin(200, [TEXT])
        call.write(b"half")
        raise RuntimeError("broken")

    client = serving(doors, serve).connect()
    client.send(message("GET /"))
    assert not client.read_to_end().endswith(b"0\r\n\r\n")
    doors.errors.clear()


def test_an_illegal_field_is_an_error_and_leaves_room_for_another_answer(doors: Doors) -> None:
    def serve(call: Call) -> None:
        with pytest.raises(AppError):
            call.begin(200, [(b"X", b"a\r\nb")])
        with pytest.raises(AppError):
            call.begin(101, [])
        call.respond(502, [TEXT], b"bad")

    assert serving(doors, serve).request(message("GET /")).body == b"bad"


def test_a_call_that_was_handed_over_is_over(doors: Doors) -> None:
    door, calls = kept(doors)
    client = door.connect()
    client.send(message("GET /x"))
    taken: list[Exchange] = []
    calls[0].hand_over(taken.append)
    assert [exchange.target for exchange in taken] == ["/x"]
    with pytest.raises(ClientDisconnected):
        calls[0].respond(200, [])


def test_a_call_nobody_took_is_answered_as_any_other(doors: Doors) -> None:
    door, calls = kept(doors)
    client = door.connect()
    client.send(message("GET /x"))

    def refuse(exchange: Exchange) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        calls[0].hand_over(refuse)
    calls[0].respond(404, [])
    assert client.response().status == 404


def test_calls_are_no_requests_of_the_site(doors: Doors) -> None:
    door, calls = kept(doors)
    client = door.connect()
    client.send(message("GET /"))
    cell = doors.reactor.cell
    assert (cell.in_flight(), cell.busy) == ([], 0)
    calls[0].respond(200, [])
    assert client.response().status == 200
    assert (cell.requests, cell.counters().latency.observations) == (0, 0)


def test_an_alarm_rings_once_unless_cancelled_or_forgotten(doors: Doors) -> None:
    rang: list[str] = []
    first, second, third = (Alarm(doors.reactor, lambda name=name: rang.append(name)) for name in "abc")  # type: ignore[misc]
    first.set(1_000)
    second.set(1_000)
    third.set(5_000)
    third.set(2_000)
    second.cancel()
    doors.advance(0.9)
    assert rang == []
    doors.advance(0.2)
    assert rang == ["a"]
    doors.advance(1)
    assert rang == ["a", "c"]
    forgotten = Alarm(doors.reactor, lambda: rang.append("forgotten"))
    forgotten.set(100)
    del forgotten
    doors.advance(60)
    assert rang == ["a", "c"]
