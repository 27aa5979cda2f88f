"""Workers that answer with the greeting, by one lane of the pull API: python lanes.py LANE PORT COUNT.

So many processes with a keep-alive connection each, in plain Python without a library and as frugal as that can be: a
front is measured, and not its workers. `v1` speaks as a client of Prack does, one word at a time; `v1-pipelined` asks
for the next request in the packet that answers the last one; `v2` takes and gives message/http; `attach` is served.
"""

import os
import socket
import sys
import time
from collections.abc import Callable, Sequence

HOST = "127.0.0.1"
READ_BYTES = 65_536
CONNECT_TRIES = 500
CONNECT_PAUSE_S = 0.02
END = b"\r\n\r\n"
BODY = b"Hello, world!"
BODY_IN_BASE64 = b"SGVsbG8sIHdvcmxkIQ=="
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n" + BODY
NEXT_V1 = b"GET /api/v1/request HTTP/1.1\r\nHost: localhost\r\n\r\n"
NEXT_V2 = b"GET /api/v2/next HTTP/1.1\r\nHost: localhost\r\n\r\n"
ATTACH = b"GET /api/v2/attach HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: PTTH/1.0\r\n\r\n"
LEASED = b"HTTP/1.1 200"


class Line:
    """A keep-alive connection to the API, which may still be about to open."""

    def __init__(self, port: int) -> None:
        self._unread = b""
        for _ in range(CONNECT_TRIES):
            try:
                self._socket = socket.create_connection((HOST, port))
                break
            except ConnectionRefusedError:
                time.sleep(CONNECT_PAUSE_S)
        else:
            raise ConnectionRefusedError(f"nobody listens on port {port}")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """All of it."""
        self._socket.sendall(data)

    def receive(self) -> tuple[bytes, bytes]:
        """Head and body of the next message."""
        data = self._unread
        while END not in data:
            data += self._more()
        head, _, body = data.partition(END)
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0] or 0)
        while len(body) < length:
            body += self._more()
        self._unread = body[length:]
        return head, body[:length]

    def _more(self) -> bytes:
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise EOFError("the front has closed the connection")
        return data


def posted(path: bytes, body: bytes, kind: bytes) -> bytes:
    """A POST."""
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (path, kind, len(body)) + body


def answer_v1(body: bytes) -> bytes:
    """The greeting, to the request in `body`."""
    identifier = body.split(b'"', 4)[3]
    answer = b'{"identifier": "%b", "code": 200, "headers": {"Content-Type": "text/plain"}, "body": "%b"}'
    return posted(b"/api/v1/response", answer % (identifier, BODY_IN_BASE64), b"application/json")


def work_v1(line: Line) -> None:
    """As its first clients do."""
    while True:
        line.send(NEXT_V1)
        head, body = line.receive()
        if head.startswith(LEASED):
            line.send(answer_v1(body))
            line.receive()


def work_v1_pipelined(line: Line) -> None:
    """As one that knows HTTP/1.1 may."""
    line.send(NEXT_V1)
    while True:
        head, body = line.receive()
        if head.startswith(LEASED):
            line.send(answer_v1(body) + NEXT_V1)
            line.receive()
        else:
            line.send(NEXT_V1)


def work_v2(line: Line) -> None:
    """By message/http."""
    while True:
        line.send(NEXT_V2)
        lease = line.receive()[0].partition(b"Drawbar-Request-Id: ")[2].partition(b"\r")[0]
        if lease:
            line.send(posted(b"/api/v2/requests/%b/response" % lease, RESPONSE, b"message/http"))
            line.receive()


def work_attached(line: Line) -> None:
    """The front asks."""
    line.send(ATTACH)
    line.receive()
    while True:
        line.receive()
        line.send(RESPONSE)


LANES: dict[str, Callable[[Line], None]] = {
    "v1": work_v1,
    "v1-pipelined": work_v1_pipelined,
    "v2": work_v2,
    "attach": work_attached,
}


def main(arguments: Sequence[str]) -> int:
    """Until the front closes a connection, or somebody ends this and all it started."""
    lane, port, count = arguments
    for _ in range(int(count) - 1):
        if os.fork() == 0:
            break
    LANES[lane](Line(int(port)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
