"""How many requests a second workers take by the HTTP lanes: python -m benchmarks.pull_lanes [SECONDS] [WORKERS].

The front is bound to one core; its workers, plain Python with a keep-alive connection each, and wrk take what they get
of all. They need more than the front does, so its own cost is told beside the rate. Meanwhile the probes are timed.
"""

import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.net.listener import listen
from drawbar.net.reactor import Reactor
from drawbar.pull.api import Api, policy
from drawbar.pull.front import Front
from drawbar.pull.queue import AppQueue

FRONT_CPU = 0
CONNECTIONS = 32
BODY = b"SGVsbG8sIHdvcmxkIQ=="
PROBES = 50


def front(public: socket.socket, door: socket.socket) -> None:
    """Serves until it is killed."""
    os.sched_setaffinity(0, {FRONT_CPU})
    reactor = Reactor(on_error=lambda error: print(repr(error), file=sys.stderr, flush=True))
    made = Front(reactor)
    made.add_app("app", AppQueue("app"))
    for listener, handler, rules in ((public, made, Policy()), (door, Api(made, reactor).handler, policy())):
        listener.setblocking(False)
        listener.listen(1_024)
        listen(reactor, listener, Http1Connector(rules, handler, "http", listener.getsockname()), exclusive=False)
    reactor.run()


class Line:
    """A keep-alive connection, as frugal as Python can be: the front is measured, and not its workers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Head and body of the answer."""
        self._socket.sendall(request)
        data = self._socket.recv(65_536)
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0] or 0)
        while len(body) < length:
            body += self._more()
        return head, body

    def _more(self) -> bytes:
        data = self._socket.recv(65_536)
        if not data:
            raise EOFError("the front has closed the connection")
        return data


def work_v1(port: int) -> None:
    """Lane v1, as a client of Prack would."""
    line = Line(port)
    while True:
        head, body = line.ask(b"GET /api/v1/request HTTP/1.1\r\nHost: localhost\r\n\r\n")
        if head.startswith(b"HTTP/1.1 200"):
            identifier = body.split(b'"', 4)[3]
            answer = b'{"identifier": "%b", "code": 200, "headers": {"Content-Type": "text/plain"}, "body": "%b"}' % (
                identifier,
                BODY,
            )
            line.ask(
                b"POST /api/v1/response HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer)
            )


def work_v2(port: int) -> None:
    """Lane v2, by message/http."""
    line = Line(port)
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!"
    while True:
        head, _ = line.ask(b"GET /api/v2/next HTTP/1.1\r\nHost: localhost\r\n\r\n")
        lease = head.partition(b"Drawbar-Request-Id: ")[2].partition(b"\r")[0]
        if lease:
            line.ask(
                b"POST /api/v2/requests/%b/response HTTP/1.1\r\nHost: localhost\r\nContent-Type: message/http\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (lease, len(answer), answer)
            )


def forked(function: Callable[[], object]) -> int:
    """The id of a process that does that until it is killed."""
    process = os.fork()
    if process == 0:
        try:
            function()
        finally:
            os._exit(1)
    return process


def cpu_s(process: int) -> float:
    """Seconds of CPU it has used."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def probe_ms(port: int) -> list[float]:
    """How long /readyz took, a few times."""
    line = Line(port)
    took = []
    for _ in range(PROBES):
        began = time.perf_counter()
        line.ask(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        took.append((time.perf_counter() - began) * 1_000)
        time.sleep(0.01)
    return took


def measure(name: str, work: Callable[[int], None], seconds: int, workers: int) -> None:
    """Says what one lane does."""
    public, door = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    port = door.getsockname()[1]
    server = forked(lambda: front(public, door))
    address = f"http://127.0.0.1:{public.getsockname()[1]}/"
    processes = [server]
    try:
        processes += [forked(lambda: work(port)) for _ in range(workers)]
        Line(port).ask(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        took: list[float] = []
        prober = threading.Thread(target=lambda: took.extend(probe_ms(port)))
        before = cpu_s(server)
        prober.start()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", address]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        used = cpu_s(server) - before
        prober.join()
    finally:
        for process in processes:
            os.kill(process, 9)
            os.waitpid(process, 0)
        public.close()
        door.close()
    requests = int((re.search(r"(\d+) requests in", text) or [0, 0])[1])
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    print(
        f"{name}: {requests / seconds:.0f} requests/s by {workers} workers, front {used / requests * 1e6:.0f} us a "
        f"request ({requests / used:.0f}/s a core), {bad[1] if bad else 0} failed; "
        f"/readyz p50 {statistics.median(took):.2f} ms, worst {max(took):.2f} ms"
    )


def main(seconds: int = 5, workers: int = 8) -> None:
    """Both lanes."""
    measure("v1", work_v1, seconds, workers)
    measure("v2", work_v2, seconds, workers)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
