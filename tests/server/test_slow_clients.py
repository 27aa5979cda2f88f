"""Clients that are slow, that stop, that die and that half-close: nobody else waits for them, and nothing breaks."""

import resource
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import Connect
from tests.server.conftest import WAYS, Serve
from tests.support.raw import RawClient
from tests.support.server import Server

MIB = 1 << 20
CROWD = 1000
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ECHO = b"POST /echo HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(params=list(WAYS))
def site(request: pytest.FixtureRequest, shared: Serve) -> Server:
    name, *options = WAYS[request.param]
    return shared(f"plain:{name}", *options)


@pytest.fixture
def many_files() -> Iterator[None]:
    """As many descriptors as may be: a crowd of clients needs one for each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * CROWD + 200
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"needs {needed} descriptors, and the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def assert_unharmed(site: Server, connect: Connect) -> None:
    """It serves on, and nothing was logged as an error of its own."""
    for _ in range(10):
        assert connect(site).request(GET).body == b"ok"
    assert " error: " not in site.log.text


def drain(client: RawClient, size: int) -> int:
    """Reads what is left of a body of `size` bytes, without keeping it; how much it was."""
    _, _, body = client.received.partition(b"\r\n\r\n")
    count = len(body)
    while count < size and (data := client.socket.recv(MIB)):
        count += len(data)
    return count


def test_a_crowd_of_slow_heads_and_bodies(site: Server, connect: Connect, many_files: None) -> None:
    neighbour = connect(site)
    with ExitStack() as stack:
        heads = [stack.enter_context(RawClient((site.host, site.port))) for _ in range(CROWD)]
        bodies = [stack.enter_context(RawClient((site.host, site.port))) for _ in range(CROWD)]
        for head, body in zip(heads, bodies, strict=True):
            head.send(b"GET / HTTP/1.1\r\nHost: ")
            body.send(ECHO + b"Content-Length: 3\r\n\r\nx")
            if head is heads[CROWD // 2]:
                assert neighbour.request(GET).body == b"ok"
        for _ in range(50):
            assert neighbour.request(GET).body == b"ok"
        assert connect(site).request(GET).body == b"ok"
        # They are slow, and not forgotten.
        for client in heads[:: CROWD // 10]:
            client.send(b"a\r\n\r\n")
            assert client.response().body == b"ok"
        for client in bodies[:: CROWD // 10]:
            client.send(b"yz")
            assert client.response().body == b"3"
    assert_unharmed(site, connect)


@pytest.mark.parametrize("path", ["big", "one"])
def test_readers_that_stop_hold_nobody_up(site: Server, connect: Connect, path: str) -> None:
    size = 50 * MIB
    readers = [connect(site) for _ in range(3)]
    for reader in readers:
        reader.send(f"GET /{path}/{size} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        reader.received = reader.socket.recv(1024)
        # Inline there is one thread: were it held, this would never be answered.
        assert connect(site).request(GET).body == b"ok"
    neighbour = connect(site)
    for _ in range(50):
        assert neighbour.request(GET).body == b"ok"
    # One of them wakes up, and gets all of it.
    assert drain(readers[0], size) == size
    # The others die.
    readers[1].reset()
    readers[2].close()
    assert_unharmed(site, connect)


def test_a_reader_that_never_reads_is_reset(shared: Serve, connect: Connect) -> None:
    site = shared("plain:app", "--send-timeout", "0.1")
    client = connect(site)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send(b"GET /big/%d HTTP/1.1\r\nHost: a\r\n\r\n" % (20 * MIB))
    # Its peer's reset is an event of its own that needs no reading.
    poll = select.poll()
    poll.register(client.socket, 0)
    assert poll.poll(30_000)
    assert connect(site).request(GET).body == b"ok"


PHASES = {
    "before a byte": b"",
    "in the request line": b"GET / HT",
    "in the fields": b"GET / HTTP/1.1\r\nHost: a\r\nA",
    "before the last line": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "before the body": ECHO + b"Content-Length: 100000\r\n\r\n",
    "in the body": ECHO + b"Content-Length: 100000\r\n\r\n" + b"x" * 70_000,
    "in a chunk size": ECHO + b"Transfer-Encoding: chunked\r\n\r\n1",
    "in a chunk": ECHO + b"Transfer-Encoding: chunked\r\n\r\n5\r\nxx",
    "in the trailers": ECHO + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: ",
    "before a 100": ECHO + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "before the response": GET,
    "behind many requests": GET * 50,
    "before a response that does not fit": b"GET /big/5000000 HTTP/1.1\r\nHost: a\r\n\r\n",
    "before one in one piece": b"GET /one/5000000 HTTP/1.1\r\nHost: a\r\n\r\n" + GET,
}


@pytest.mark.parametrize("how", ["reset", "close", "end"])
@pytest.mark.parametrize("phase", PHASES)
def test_clients_that_die(site: Server, connect: Connect, phase: str, how: str) -> None:
    for _ in range(3):
        client = connect(site)
        client.send(PHASES[phase])
        getattr(client, how)()
    assert_unharmed(site, connect)


def test_clients_that_die_in_the_response(site: Server, connect: Connect) -> None:
    for how in ("reset", "close"):
        client = connect(site)
        client.send(b"GET /big/20000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read(100_000)
        getattr(client, how)()
    assert_unharmed(site, connect)


@pytest.mark.parametrize(
    ("sent", "bodies"),
    [
        (GET, [b"ok"]),
        (GET * 3, [b"ok"] * 3),
        (GET * 2 + b"GET / HTTP/1.1\r\n", [b"ok"] * 2),
        (ECHO + b"Content-Length: 5\r\n\r\nhello", [b"5"]),
        (ECHO + b"Content-Length: 5\r\n\r\nhello" + GET, [b"5", b"ok"]),
        (ECHO + b"Transfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n" + GET, [b"2", b"ok"]),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + GET, [b"ok", b"ok"]),
    ],
)
def test_half_closing_clients_get_their_answers(
    site: Server, connect: Connect, sent: bytes, bodies: list[bytes]
) -> None:
    client = connect(site)
    client.send(sent)
    client.end()
    assert [client.response().body for _ in bodies] == bodies
    assert client.read_to_end() == b""


def test_half_closing_clients_get_large_answers(site: Server, connect: Connect) -> None:
    for path in ("big", "one"):
        client = connect(site)
        client.send(f"GET /{path}/20000000 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        client.end()
        assert len(client.response().body) == 20_000_000
        assert client.read_to_end() == b""
