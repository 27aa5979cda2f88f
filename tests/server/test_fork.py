"""A process for each request: what one does to itself touches nobody, and every client gets an answer."""

import os
import re
import select
import signal

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES, Fifo, Serve
from tests.support.server import PATIENCE_S, Server, Servers

MODEL = ("--concurrency", "fork")


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def post(path: str, body: bytes, *fields: str) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


@pytest.fixture
def site(shared: Serve) -> Server:
    return shared("models:app", *MODEL)


# -- apart


def test_each_call_has_a_process_of_its_own(site: Server, connect: Connect) -> None:
    assert "1 worker, fork, 8 at once (pid" in site.log.text
    client = connect(site)
    seen = [client.request(get("/whoami")).body.split() for _ in range(3)]
    assert len({process for process, _ in seen}) == 3
    assert len({parent for _, parent in seen}) == 1
    assert {process for process, _ in seen}.isdisjoint(parent for _, parent in seen)


def test_environ_says_so(site: Server, connect: Connect) -> None:
    assert connect(site).request(get("/says")).body == b"[False, True, True]"


def test_what_a_call_remembers_is_forgotten_with_it(site: Server, connect: Connect) -> None:
    client = connect(site)
    for word in ("one", "two"):
        assert client.request(get(f"/remember/{word}")).body == word.encode()


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("/die/9", "killed by SIGKILL"),
        ("/die/11", "killed by SIGSEGV, a crash in native code"),
        ("/leave/0", "exited with code 0"),
        ("/leave/7", "exited with code 7"),
    ],
)
def test_a_process_that_ends_before_its_response(site: Server, connect: Connect, path: str, what: str) -> None:
    client = connect(site)
    response = client.request(get(path))
    assert (response.status, response.body) == (500, b"Internal Server Error\n")
    site.log.wait_for(rf"GET {path} from 127\.0\.0\.1:\d+: AppError: its process .* before its response did: {what}")
    # Its connection and its neighbours go on.
    assert client.request(get("/")).body == b"ok"
    assert "worker 1" not in site.log.text


@pytest.mark.parametrize(("path", "error"), [("/broken/x", "LookupError: x"), ("/end/bye", "SystemExit: bye")])
def test_an_exception_is_the_applications_as_ever(site: Server, connect: Connect, path: str, error: str) -> None:
    client = connect(site)
    assert client.request(get(path)).status == 500
    site.log.wait_for(rf"GET {path} from 127\.0\.0\.1:\d+: {error}$")
    site.log.wait_for(r"error: Traceback")
    assert client.request(get("/")).body == b"ok"


@pytest.mark.parametrize("then", ["die", "raise"])
def test_a_response_that_breaks_off_does_not_look_whole(site: Server, connect: Connect, then: str) -> None:
    client = connect(site)
    client.send(get(f"/drip/2/{then}"))
    received = client.read_to_end()
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.count(b"x") >= 100_000
    assert not received.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("path", "why"),
    [("/wrong", "the body is longer than its Content-Length: 3 declared, 4 sent"), ("/badhead", "control character")],
)
def test_mistakes_are_told_where_they_are_made(site: Server, connect: Connect, path: str, why: str) -> None:
    assert connect(site).request(get(path)).status == 500
    site.log.wait_for(rf"GET {path} from .*: AppError: .*{why}")
    site.log.wait_for(r"models\.py")


def test_no_descriptor_of_the_server_comes_along(site: Server, connect: Connect) -> None:
    others = [connect(site) for _ in range(3)]
    for other in others:
        other.request(get("/"))
    found = dict(line.split(" ", 1) for line in connect(site).request(get("/descriptors")).body.decode().split("\n"))
    standard = {found.pop(number) for number in "012"}
    own = [name for name in found.values() if name not in standard and not name.startswith(("/dev/", "/memfd:"))]
    # The line to the worker: no listener, no connection, and nothing the worker waits with or tells its master by.
    assert [name.partition(":")[0] for name in own] == ["socket"]


# -- whole


@pytest.mark.parametrize("size", [0, 1, 100, 70_000, 3_000_000])
def test_bodies_of_requests_of_any_size(site: Server, connect: Connect, size: int) -> None:
    client = connect(site)
    body = b"a" * (size - 1) + b"z" if size else b""
    for _ in range(2):
        assert client.request(post("/echo", body)).body == b"%d %s" % (size, body[-1:])


def test_a_body_whose_client_waits_to_be_asked_is_asked_for(site: Server, connect: Connect) -> None:
    client = connect(site)
    client.send(post("/echo", b"", "Expect: 100-continue").replace(b"Length: 0", b"Length: 4"))
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abcd")
    assert client.response("POST").body == b"4 d"
    assert client.request(get("/")).body == b"ok"


def test_lines_of_a_body(site: Server, connect: Connect) -> None:
    assert connect(site).request(post("/lines", b"a\nb\nc")).body == repr([b"a\n", b"b\n", b"c"]).encode()


@pytest.mark.parametrize("pieces", [0, 1, 50])
def test_a_response_in_pieces(site: Server, connect: Connect, pieces: int) -> None:
    client = connect(site)
    for _ in range(2):
        response = client.request(get(f"/drip/{pieces}"))
        assert len(response.body) == pieces * 100_000
        assert response.header("x-from") is not None


def test_a_response_that_is_one_large_piece_says_its_length(shared: Serve, connect: Connect) -> None:
    site = shared("plain:app", *MODEL)
    client = connect(site)
    for request, size in ((get("/one/1000000"), 1_000_000), (get("/one/1000000").replace(b"GET", b"HEAD"), 0)):
        response = client.request(request)
        assert len(response.body) == size
        assert response.header("content-length") == "1000000"
        assert response.header("transfer-encoding") is None


def test_a_file(site: Server, connect: Connect) -> None:
    content = (SITES / "models.py").read_bytes()
    response = connect(site).request(get("/file"))
    assert response.body == content
    assert response.header("content-length") == str(len(content))


def test_what_else_a_response_can_be(site: Server, connect: Connect) -> None:
    client = connect(site)
    assert client.request(get("/empty")).status == 204
    assert client.request(get("/write")).body == b"abcdef"
    hinted = client.request(get("/hints"))
    assert [status for status, _ in hinted.informational] == [103]
    assert ("link", "</a.css>") in hinted.informational[0][1]
    client.send(get("/remember/1") + get("/remember/2") + get("/"))
    assert [client.response().body for _ in range(3)] == [b"1", b"2", b"ok"]


def test_a_client_that_reads_slowly_makes_its_call_wait_and_nobody_else(server: Servers, connect: Connect) -> None:
    site = server(
        "models:app", *MODEL, "--limit-output-high-bytes", "64k", "--limit-output-low-bytes", "1k", chdir=SITES
    )
    slow, other = connect(site), connect(site)
    slow.send(get("/drip/200", "Connection: close"))
    slow.read_until(b"\r\n\r\n")
    for _ in range(3):
        assert other.request(get("/")).body == b"ok"
    received = slow.read_to_end()
    assert received.count(b"x") == 200 * 100_000
    assert received.endswith(b"\r\n0\r\n\r\n")


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_ends_its_call(server: Servers, connect: Connect, leave: str) -> None:
    site = server("models:app", *MODEL, "--max-concurrency", "1", chdir=SITES)
    client = connect(site)
    client.send(get("/drip/100000"))
    client.read_until(b"\r\n\r\n")
    getattr(client, leave)()
    # There is one place: the next call gets it when that process has ended.
    assert connect(site).request(get("/")).body == b"ok"


# -- how many


def test_no_more_processes_than_allowed_and_first_come_first_served(
    server: Servers, connect: Connect, fifo: Fifo
) -> None:
    site = server("models:app", *MODEL, "--max-concurrency", "1", chdir=SITES)
    assert "1 worker, fork, 1 at once (pid" in site.log.text
    first = connect(site)
    first.send(get(f"/hold{fifo.path}"))
    site.log.wait_for("holding")
    waiting = [connect(site) for _ in range(4)]
    for number, client in enumerate(waiting):
        client.send(get(f"/say/{number}"))
        # It has been read when what is refused after it is answered.
        refused = connect(site)
        assert refused.request(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n").status == 400
    waiting[2].reset()
    assert connect(site).request(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n").status == 400
    assert "said" not in site.log.text
    fifo.release()
    assert first.response().body == b"held"
    assert [waiting[number].response().body for number in (0, 1, 3)] == [b"0", b"1", b"3"]
    site.log.wait_for("said 3")
    assert [line for line in site.log.lines if line.startswith("said")] == ["said 0", "said 1", "said 3"]


def test_dead_processes_are_buried(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--max-concurrency", "1", chdir=SITES)
    client = connect(site)
    for path in ("/", "/die/9", "/leave/3", "/drip/2", "/"):
        client.send(get(path))
        client.response()
    assert client.request(get("/siblings")).body == b"1"


def test_processes_run_beside_each_other(server: Servers, connect: Connect, fifo: Fifo) -> None:
    site = server("models:app", *MODEL, chdir=SITES)
    clients = [connect(site) for _ in range(8)]
    for client in clients:
        client.send(get(f"/hold{fifo.path}"))
    site.log.wait_for_many("holding", 8)
    gate = os.open(fifo.path, os.O_RDWR)
    assert [client.response().body for client in clients] == [b"held"] * 8
    os.close(gate)


# -- time


def test_a_call_that_takes_too_long_is_answered_and_its_process_killed(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--request-timeout", "1", "--max-concurrency", "2", chdir=SITES)
    neighbour, client = connect(site), connect(site)
    client.send(get("/stuck"))
    assert client.response().status == 504
    site.log.wait_for(r"GET /stuck from .*: no answer within 1 s; its process \(\d+\) is killed")
    # Where it was.
    site.log.wait_for(r'models\.py", line \d+ in stuck')
    assert client.request(get("/")).body == b"ok"
    assert neighbour.request(get("/")).body == b"ok"
    assert "before its response" not in site.log.text


def test_a_response_that_has_begun_may_take_its_time(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--request-timeout", "1", chdir=SITES)
    assert connect(site).request(get("/slow/1.3")).body == b"slow at last"
    assert "no answer" not in site.log.text


def test_a_process_writes_its_stack_when_it_is_asked_to(server: Servers, connect: Connect, fifo: Fifo) -> None:
    site = server("models:app", *MODEL, chdir=SITES)
    client = connect(site)
    client.send(get(f"/hold{fifo.path}"))
    os.kill(int(site.log.wait_for(r"holding .* in (\d+)")[1]), signal.SIGRTMAX - 1)
    site.log.wait_for(r'models\.py", line \d+ in hold')
    # That is no reason for the worker to write its own.
    assert "stacks of" not in site.log.text
    fifo.release()
    assert client.response().body == b"held"


# -- ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_calls_that_run_or_wait_at_the_end_are_finished(
    server: Servers, connect: Connect, fifo: Fifo, number: signal.Signals
) -> None:
    site = server("models:app", *MODEL, "--max-concurrency", "1", chdir=SITES)
    first, second = connect(site), connect(site)
    first.send(get(f"/hold{fifo.path}"))
    child = int(site.log.wait_for(r"holding .* in (\d+)")[1])
    second.send(get("/remember/it"))
    refused = connect(site)
    assert refused.request(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n").status == 400
    refused.close()
    # As a terminal or a service manager does: to all at once.
    os.kill(child, number)
    site.process.send_signal(number)
    site.log.wait_for(f"{number.name}: stopping")
    fifo.release()
    for client, body in ((first, b"held"), (second, b"it")):
        assert client.response().body == body
        client.close()
    assert site.wait() == 0


def test_an_end_at_once_ends_the_calls(server: Servers, connect: Connect, fifo: Fifo) -> None:
    site = server("models:app", *MODEL, chdir=SITES)
    client = connect(site)
    client.send(get(f"/hold{fifo.path}"))
    child = os.pidfd_open(int(site.log.wait_for(r"holding .* in (\d+)")[1]))
    for order in ("stopping", "in haste", "at once"):
        site.process.send_signal(signal.SIGTERM)
        site.log.wait_for(order)
    site.wait()
    assert select.select([child], [], [], PATIENCE_S)[0]
    os.close(child)
    assert client.read_to_end() == b""


def test_an_application_that_was_loaded_before_is_shared(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--preload", chdir=SITES)
    client = connect(site)
    seen = [client.request(get("/whoami")).body.split() for _ in range(2)]
    assert len({process for process, _ in seen}) == 2


def test_threads_of_the_application_are_warned_of(server: Servers, connect: Connect) -> None:
    site = server("threading_at_import:app", *MODEL, chdir=SITES)
    assert re.search(r"warning: the application started threads while it was imported \(ticker\)", site.log.text)
    assert connect(site).request(get("/")).body == b"1 thread"


def test_a_process_dies_with_its_worker(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, chdir=SITES)
    client = connect(site)
    client.send(get("/stuck"))
    site.log.wait_for("stuck")
    _, worker = map(int, connect(site).request(get("/whoami")).body.split())
    os.kill(worker, signal.SIGKILL)
    site.log.wait_for("worker 1")
    # close() of the log fails when anybody still holds it.
    site.stop()


def test_exit_handlers_run_once_in_the_worker_alone(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, chdir=SITES)
    client = connect(site)
    worker = client.request(get("/whoami")).body.split()[1].decode()
    for _ in range(3):
        client.request(get("/"))
    client.close()
    site.stop()
    assert [line for line in site.log.lines if line.startswith("farewell")] == [f"farewell of {worker}"]


def test_an_asgi_application_is_refused(server: Servers) -> None:
    site = server("models:asgi", *MODEL, chdir=SITES, ready=False)
    site.log.wait_for("app.concurrency: fork cannot call an application of ASGI; write tasks, or leave it auto")
    assert site.wait() != 0
