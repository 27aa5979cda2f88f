"""Workers that answer with a constant, attached to a front's Unix socket: python -m benchmarks.attached SOCKET COUNT.

One Drawbar reactor serves all the connections, as a worker process does.
"""

import socket
import sys
from typing import Any

from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.executors.inline import InlineExecutor
from drawbar.gateways.wsgi import WsgiHandler
from drawbar.net.listener import adopt
from drawbar.net.reactor import Reactor

ATTACH = b"GET /?app=app&label=v1 HTTP/1.1\r\nHost: front\r\nConnection: Upgrade\r\nUpgrade: PTTH/1.0\r\n\r\n"


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The application of all benchmarks."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


def main(path: str, count: int) -> None:
    """Serves until the front is gone."""
    reactor = Reactor()
    connector = Http1Connector(Policy(keepalive_timeout=0, head_timeout=0), WsgiHandler(hello, InlineExecutor()))
    for _ in range(count):
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        made.sendall(ATTACH)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += made.recv(1)
        made.setblocking(False)
        adopt(reactor, made.detach(), connector)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
