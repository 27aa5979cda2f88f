"""A front of its own in one process, without configuration: python -m benchmarks.front PORT SOCKET [CPU].

Clients come to 127.0.0.1:PORT, workers to the Unix socket at SOCKET, where every request is an attachment.
"""

import os
import socket
import sys

from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.net.listener import listen
from drawbar.net.reactor import Reactor
from drawbar.pull.attach import AttachHandler
from drawbar.pull.front import Front
from drawbar.pull.queue import AppQueue

QUEUE_LENGTH = 100_000
BACKLOG = 4_096


def listening(family: int, address: tuple[str, int] | str) -> socket.socket:
    """A listening socket; a Unix socket's path is made anew."""
    if isinstance(address, str) and os.path.exists(address):
        os.unlink(address)
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind(address)
    made.listen(BACKLOG)
    made.setblocking(False)
    return made


def main(port: int, path: str) -> None:
    """Serves until it is killed."""
    reactor = Reactor(on_error=lambda error: print(repr(error), file=sys.stderr, flush=True))
    front = Front(reactor)
    front.add_app("app", AppQueue("app", length=QUEUE_LENGTH, queue_ms=600_000, deadline_ms=600_000))
    for made, handler in (
        (listening(socket.AF_INET, ("127.0.0.1", port)), front),
        (listening(socket.AF_UNIX, path), AttachHandler(front)),
    ):
        listen(reactor, made, Http1Connector(Policy(), handler, "http", ("127.0.0.1", port)), exclusive=False)
    reactor.run()


if __name__ == "__main__":
    if len(sys.argv) > 3:
        os.sched_setaffinity(0, {int(sys.argv[3])})
    main(int(sys.argv[1]), sys.argv[2])
