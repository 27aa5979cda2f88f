"""Workers that die, by an application's doing or somebody else's: their exchanges are lost, and nothing else."""

import os
import signal
import threading

import h11
import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES, WAYS, Fifo, Serve
from tests.support.raw import RawClient
from tests.support.server import Servers

PID = b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n"


def get(path: str) -> bytes:
    return f"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def worker_of(client: RawClient) -> int:
    return int(client.request(PID).body)


def sockets_of(pid: int) -> set[str]:
    """The sockets a process holds, by inode."""
    directory = f"/proc/{pid}/fd"
    links = [os.readlink(f"{directory}/{number}") for number in os.listdir(directory)]
    return {link for link in links if link.startswith("socket:")}


def assert_lost(client: RawClient) -> None:
    """The connection ended, without a byte that could pass for an answer."""
    with pytest.raises((EOFError, ConnectionResetError)):
        client.read(1)


@pytest.mark.parametrize(
    ("path", "end"),
    [
        ("exits", r"exited with code 7"),
        ("segfault", r"killed by SIGSEGV, a crash in native code"),
        ("abort", r"killed by SIGABRT, it gave itself up"),
        ("killed", r"killed by SIGKILL"),
    ],
)
@pytest.mark.parametrize("way", ["app", "asgi"])
def test_an_application_that_ends_its_process(server: Servers, connect: Connect, way: str, path: str, end: str) -> None:
    site = server(f"crashing:{way}", chdir=SITES)
    client, neighbour = connect(site), connect(site)
    pid = worker_of(client)
    client.send(get(path))
    assert_lost(client)
    assert_lost(neighbour)
    # Whoever comes meanwhile waits in the listen queue for the next worker.
    assert worker_of(connect(site)) != pid
    site.log.wait_for(rf"error: worker 1 \(pid {pid}\) died: {end}; ")
    site.log.wait_for(r"info: worker 1 is ready")


def test_a_killed_worker_takes_only_its_own(server: Servers, connect: Connect, fifo: Fifo) -> None:
    site = server("crashing:app", "--workers", "2", "--threads", "1", chdir=SITES)
    kept = connect(site)
    survivor = worker_of(kept)
    kept.send(get(f"hold{fifo.path}"))
    site.log.wait_for(f"holding {fifo.path}")
    # With one worker inside its application everything else is the other's.
    lost = connect(site)
    victim = worker_of(lost)
    assert victim != survivor
    os.kill(victim, signal.SIGKILL)
    assert_lost(lost)
    assert worker_of(connect(site)) not in (victim, survivor)
    fifo.release()
    assert kept.response().body == b"ok"
    assert worker_of(kept) == survivor


def test_a_worker_killed_under_load(server: Servers, connect: Connect) -> None:
    site = server("crashing:app", "--workers", "2", chdir=SITES)
    stop = threading.Event()
    wrong: list[BaseException | bytes] = []
    answered = [0] * 4

    def load(number: int) -> None:
        """Asks on, over a new connection when one is lost. Only a lost connection is no answer."""
        client = RawClient((site.host, site.port))
        try:
            while not stop.is_set():
                try:
                    body = client.request(get("")).body
                    if body != b"ok":
                        wrong.append(body)
                    answered[number] += 1
                except (EOFError, ConnectionError, h11.RemoteProtocolError):
                    client.close()
                    client = RawClient((site.host, site.port))
        except BaseException as error:
            wrong.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=load, args=(number,)) for number in range(len(answered))]
    for thread in threads:
        thread.start()
    try:
        for killed in (1, 2):
            os.kill(worker_of(connect(site)), signal.SIGKILL)
            site.log.wait_for_many(r"info: worker \d is ready", killed)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert all(answered)


MAKES = {"forks": b"5", "runs": b"from a child\n", "multiprocesses": b"6", "threads": b"from a thread"}


@pytest.mark.parametrize(
    ("path", "body", "way"),
    [
        pytest.param(path, body, way, id=f"{path}-{way}")
        for path, body in MAKES.items()
        for way in WAYS
        # gevent's patches and multiprocessing's threads wait for each other for ever, with or without a server.
        if (path, way) != ("multiprocesses", "greenlets")
    ],
)
def test_an_application_that_makes_processes(shared: Serve, connect: Connect, path: str, body: bytes, way: str) -> None:
    name, *options = WAYS[way]
    site = shared(f"crashing:{name}", *options)
    client = connect(site)
    for _ in range(2):
        assert client.request(get(path)).body == body
    assert "worker 1" not in site.log.text


@pytest.mark.parametrize("way", [*WAYS])
def test_a_child_that_lives_on_holds_no_connection(shared: Serve, connect: Connect, way: str) -> None:
    name, *options = WAYS[way]
    site = shared(f"crashing:{name}", *options)
    neighbour = connect(site)
    assert worker_of(neighbour)
    client = connect(site)
    client.send(b"GET /leaves_a_child HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    child = int(client.response().body)
    try:
        site.log.wait_for(f"child {child} lives")
        # The child had a copy of this connection. The end arrives all the same.
        assert client.read_to_end() == b""
        # An event loop's own pair of sockets is all it may share with the worker.
        shared_sockets = sockets_of(child) & sockets_of(worker_of(neighbour))
        assert len(shared_sockets) <= (2 if way == "asyncio" else 0)
    finally:
        # Nor does a signal to it reach the worker.
        os.kill(child, signal.SIGTERM)
    assert worker_of(neighbour)
    assert worker_of(connect(site))


@pytest.mark.parametrize("way", ["inline", "threads"])
def test_a_child_that_returns_through_the_server_answers_nobody(shared: Serve, connect: Connect, way: str) -> None:
    name, *options = WAYS[way]
    site = shared(f"crashing:{name}", *options)
    client = connect(site)
    for _ in range(2):
        assert client.request(get("forks_and_returns_twice")).body == b"the parent"
    assert worker_of(client)


def test_an_application_that_stops_the_server(server: Servers, connect: Connect) -> None:
    site = server("crashing:app", chdir=SITES)
    assert connect(site).request(get("terminated")).body == b"as you wish"
    assert site.wait() == 0
