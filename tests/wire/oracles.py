"""What two other parsers of the field make of a case: httptools (llhttp) and h11.

A verdict is "refuses", "waits" (accepts all of it and wants more), or "accepts N messages, B body bytes", which shows
when two parsers cut the same bytes into different messages. The oracles run as they come: no leniency is switched on.
"""

import h11
import httptools

from drawbar.wire.events import Data, End, Event, Refused, Response
from tests.wire.cases import Case, events_of

REFUSES = "refuses"
WAITS = "waits"


def accepts(messages: int, body_bytes: int) -> str:
    """The verdict on bytes that are whole messages."""
    return f"accepts {messages} messages, {body_bytes} body bytes"


def ours(case: Case) -> str:
    """The verdict of drawbar.wire."""
    events: list[Event] = events_of([case.raw], case.role, case.request_method)
    refused = [event for event in events if isinstance(event, Refused)]
    if refused:
        return WAITS if "was closed before" in refused[0].why else REFUSES
    body = sum(len(event.data) for event in events if isinstance(event, Data))
    interim = sum(isinstance(event, Response) and event.status < 200 and event.status != 101 for event in events)
    return accepts(sum(isinstance(event, End) for event in events) - interim, body)


class _Counter:
    """The callbacks of httptools, as far as a verdict needs them."""

    def __init__(self) -> None:
        self.messages = 0
        self.body_bytes = 0
        self.open = False
        self.status = 0

    def on_message_begin(self) -> None:
        self.open = True

    def on_status(self, status: bytes) -> None:
        pass

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)

    def on_message_complete(self) -> None:
        self.open = False
        self.messages += 1


def httptools_verdict(case: Case) -> str:
    """The verdict of llhttp. It cannot be told which request a response answers, nor that the stream has ended."""
    counter = _Counter()
    parser: httptools.HttpRequestParser | httptools.HttpResponseParser
    parser = httptools.HttpRequestParser(counter) if case.role == "request" else httptools.HttpResponseParser(counter)
    try:
        parser.feed_data(case.raw)
    except httptools.HttpParserUpgrade:
        return accepts(counter.messages, counter.body_bytes)
    except httptools.HttpParserError:
        return REFUSES
    return WAITS if counter.open else accepts(counter.messages, counter.body_bytes)


def h11_verdict(case: Case) -> str:
    """The verdict of h11; every request is answered, and every response is one to `case.request_method`."""
    connection = h11.Connection(h11.SERVER if case.role == "request" else h11.CLIENT)
    messages = body_bytes = 0
    try:
        _ask(connection, case)
        connection.receive_data(case.raw)
        connection.receive_data(b"")
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Data):
                body_bytes += len(event.data)
            elif isinstance(event, h11.EndOfMessage):
                messages += 1
                if not _next_cycle(connection, case):
                    return accepts(messages, body_bytes)
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return accepts(messages, body_bytes)
    except h11.RemoteProtocolError as error:
        return WAITS if "closed connection without" in str(error) or "unexpectedly closed" in str(error) else REFUSES


def _ask(connection: h11.Connection, case: Case) -> None:
    if connection.our_role is h11.CLIENT:
        connection.send(h11.Request(method=case.request_method, target="/", headers=[("Host", "example.com")]))
        connection.send(h11.EndOfMessage())


def _next_cycle(connection: h11.Connection, case: Case) -> bool:
    if connection.trailing_data == (b"", True) or connection.their_state not in (h11.DONE, h11.MUST_CLOSE):
        # All is read, or a CONNECT or an upgrade waits for an answer that only an application could give.
        return False
    if connection.our_role is h11.SERVER and connection.our_state is h11.SEND_RESPONSE:
        connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
        connection.send(h11.EndOfMessage())
    if connection.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE} or not connection.trailing_data[0]:
        return False
    connection.start_next_cycle()
    _ask(connection, case)
    return True
