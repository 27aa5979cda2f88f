"""A front and its workers under one master: what no client notices, and what an operator does."""

import json
import os
import pwd
import re
import select
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.uri import parse_uri

from tests.conftest import Connect
from tests.server.conftest import SITES, Fifo
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S, Server, Servers

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
PID = b"GET /pid HTTP/1.1\r\nHost: test\r\n\r\n"
NOBODY = pwd.getpwnam("nobody")

APPLICATION = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{answer}"]
"""

Split = Callable[..., Server]


@pytest.fixture
def split(server: Servers, tmp_path: Path) -> Split:
    """Starts the plain site behind a front."""

    def start(target: str = "plain:app", *options: str, **keywords: Any) -> Server:
        pid_file = ("--pid-file", str(tmp_path / "pid"))
        found = ("--split", "--log-level", "debug", *pid_file, *options)
        return server(target, *found, **{"chdir": SITES, **keywords})

    return start


@pytest.fixture
def several(server: Servers, tmp_path: Path) -> Split:
    """Starts what a drawbar.toml says, in a directory of its own, where the modules are."""

    def start(toml: str, *options: str, **keywords: Any) -> Server:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(tmp_path)]), "PYTHONDONTWRITEBYTECODE": "1"}
        found = ("--log-level", "debug", "--pid-file", str(tmp_path / "pid"), *options)
        return server(None, *found, cwd=tmp_path, toml=toml, env=env, **keywords)

    return start


def write_app(directory: Path, module: str, answer: str) -> None:
    (directory / f"{module}.py").write_text(APPLICATION.replace("{answer}", answer))


def children(pid: int) -> dict[int, str]:
    """The processes of a master, with their titles."""
    found = {}
    for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        # One that ends now has none any more.
        with suppress(FileNotFoundError, ProcessLookupError):
            found[child] = Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0").decode()
    return found


def one(pid: int, title: str) -> int:
    """The process of that title."""
    (found,) = [child for child, name in children(pid).items() if name == title]
    return found


@contextmanager
def clients(site: Server, count: int = 4, request: bytes = PID) -> Iterator[list[bytes]]:
    """Sends GETs one after the other on each of so many connections until the block ends; each must be answered 200.

    A connection that is closed with notice is opened anew, as any client does it.
    """
    answers: list[bytes] = []
    failures: list[str] = []
    over = threading.Event()

    def run() -> None:
        client = RawClient((site.host, site.port))
        while not over.is_set():
            try:
                response = client.request(request)
            except (OSError, EOFError) as error:
                failures.append(repr(error))
                break
            if response.status != 200:
                failures.append(f"{response.status}: {response.body!r}")
            answers.append(response.body)
            if response.header("connection") == "close":
                client.close()
                client = RawClient((site.host, site.port))
        client.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert failures == []


# What it is.


@pytest.mark.parametrize("target", ["plain:app", "plain:asgi"])
def test_requests_are_answered_by_workers_behind_a_front(split: Split, connect: Connect, target: str) -> None:
    site = split(target, "--workers", "2")
    found = children(site.process.pid)
    assert sorted(found.values()) == ["drawbar: app worker 1", "drawbar: app worker 2", "drawbar: front"]
    comms = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in found}
    assert comms == {"drawbar-front", "drawbar-worker"}
    client = connect(site)
    assert client.request(GET).body == b"ok"
    assert found[int(client.request(PID).body)].startswith("drawbar: app worker")
    assert "serving plain:" in site.log.text
    assert "a front and 2 workers" in site.log.text


def test_preloaded_workers_have_their_names_too(split: Split, connect: Connect) -> None:
    site = split("plain:app", "--workers", "2", "--preload")
    pid = int(connect(site).request(PID).body)
    assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"drawbar: app worker ")


def test_only_the_front_writes_the_access_log(split: Split, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    site = split("plain:app", "--access-log", str(path))
    assert connect(site).request(GET).status == 200
    site.stop()
    assert len(path.read_text().splitlines()) == 1


def test_the_private_place_is_for_nobody_else_and_goes_with_the_server(split: Split) -> None:
    site = split()
    path = Path(site.log.wait_for(r"attached to unix:(\S+) as app")[1])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o711
    assert sorted(found.name for found in path.parent.iterdir()) == ["app.sock", "front.sock"]
    site.stop()
    assert not path.parent.exists()


def test_the_socket_of_an_application_is_no_other_ones(several: Split, tmp_path: Path, connect: Connect) -> None:
    write_app(tmp_path, "first", "1")
    write_app(tmp_path, "second", "2")
    site = several(
        '[apps.one]\nprefix = "/1"\ntarget = "first:app"\n[apps.two]\nprefix = "/2"\ntarget = "second:app"\n'
    )
    place = Path(site.log.wait_for(r"attached to unix:(\S+) as one")[1]).parent
    head = "GET /api/v2/next?app={}&wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert connect(str(place / "one.sock")).request(head.format("one").encode()).status == 204
    assert connect(str(place / "one.sock")).request(head.format("two").encode()).status == 403
    everything = connect(str(place / "front.sock")).request(b"GET /api/v2/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert set(json.loads(everything.body)["apps"]) == {"one", "two"}


def test_a_stream_comes_as_it_is_made(split: Split, connect: Connect) -> None:
    site = split("lasting:app")
    client = connect(site)
    client.send(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.read_until(b"begun\r\n").endswith(b"begun\r\n")


def test_large_bodies_go_both_ways(split: Split, connect: Connect) -> None:
    site = split()
    client = connect(site)
    body = b"x" * 3_000_000
    head = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert client.request(head + body).body == b"3000000"
    assert len(client.request(b"GET /big/3000000 HTTP/1.1\r\nHost: test\r\n\r\n").body) == 3_000_000


def test_a_websocket_passes_through(split: Split, connect: Connect) -> None:
    site = split("behind:asgi")
    protocol = ClientProtocol(parse_uri(f"ws://{site.host}:{site.port}/"))
    client = connect(site)
    protocol.send_request(protocol.connect())
    client.send(b"".join(protocol.data_to_send()))
    protocol.receive_data(client.read_until(b"\r\n\r\n"))
    protocol.send_text(b"hello")
    client.send(b"".join(protocol.data_to_send()))
    frames: list[Any] = []
    while not frames:
        protocol.receive_data(client.socket.recv(65536))
        frames = [event for event in protocol.events_received() if getattr(event, "opcode", None) is Opcode.TEXT]
    assert frames[0].data == b"hello"


def test_the_master_has_nothing_of_the_front_in_it(split: Split, server: Servers) -> None:
    site = split()
    maps = Path(f"/proc/{site.process.pid}/maps").read_text()
    assert "/pull/attached." in maps, "what the workers need is theirs together"
    assert not [part for part in ("front", "queue", "entry", "attach", "routes") if f"/pull/{part}." in maps]
    alone = server(None, "--api", "127.0.0.1:0", command="serve")
    assert "/pull/" not in Path(f"/proc/{alone.process.pid}/maps").read_text()


def test_the_line_of_the_start_names_both_addresses(split: Split) -> None:
    split("plain:app", "--api", "127.0.0.1:0").log.wait_for(
        r"serving plain:app \(wsgi\) on http://\S+, .*; workers elsewhere pull from http://127.0.0.1:\d+ "
    )


def test_a_changed_file_is_the_applications_affair(server: Servers, connect: Connect, tmp_path: Path) -> None:
    write_app(tmp_path, "first", "1")
    site = server("first:app", "--split", chdir=tmp_path, command="dev")
    site.log.wait_for("watching for changes")
    front = one(site.process.pid, "drawbar: front")
    write_app(tmp_path, "first", "changed")
    site.log.wait_for("first.py changed: reloading")
    site.log.wait_for("app worker 1 is ready")
    client = connect(site)
    while client.request(GET).body != b"changed":
        pass
    assert one(site.process.pid, "drawbar: front") == front


# Deaths.


def test_a_get_of_a_killed_worker_is_run_again(split: Split, connect: Connect, fifo: Fifo) -> None:
    site = split("plain:app", "--threads", "1")
    client = connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    site.log.wait_for("holding")
    os.kill(one(site.process.pid, "drawbar: app worker 1"), signal.SIGKILL)
    site.log.wait_for_many("holding", 2)
    fifo.release()
    assert client.response().status == 200
    site.log.wait_for("died: killed by SIGKILL")


def test_a_post_of_a_killed_worker_is_one_502_and_is_not_run_again(split: Split, connect: Connect, fifo: Fifo) -> None:
    site = split("plain:app", "--threads", "1")
    client = connect(site)
    client.send(f"POST /hold{fifo.path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n".encode())
    site.log.wait_for("holding")
    os.kill(one(site.process.pid, "drawbar: app worker 1"), signal.SIGKILL)
    assert client.response("POST").status == 502
    site.log.wait_for("died: killed by SIGKILL")
    assert connect(site).request(GET).status == 200
    assert site.log.text.count("holding") == 1


def test_a_killed_front_is_replaced_and_has_its_workers_again(split: Split, connect: Connect) -> None:
    site = split("plain:app", "--workers", "2")
    before = set(children(site.process.pid))
    front = one(site.process.pid, "drawbar: front")
    os.kill(front, signal.SIGKILL)
    site.log.wait_for(r"front \(pid \d+\) died: killed by SIGKILL")
    site.log.wait_for("front is ready")
    pid = int(connect(site).request(PID).body)
    assert pid in before - {front}


def test_an_application_that_cannot_start_ends_the_start(split: Split) -> None:
    site = split("plain:nothing", ready=False)
    assert site.wait() == 2
    assert "nothing" in site.log.lines[-1]
    assert "front started" not in site.log.text


def test_an_application_that_cannot_start_leaves_the_others_alone(
    several: Split, connect: Connect, tmp_path: Path
) -> None:
    write_app(tmp_path, "first", "1")
    (tmp_path / "second.py").write_text("not right(")
    site = several(
        '[apps.one]\nprefix = "/1"\ntarget = "first:app"\n[apps.two]\nprefix = "/2"\ntarget = "second:app"\n'
    )
    assert "two (no worker has started)" in site.log.text
    assert connect(site).request(b"GET /1 HTTP/1.1\r\nHost: test\r\n\r\n").body == b"1"
    waits = connect(site)
    waits.send(b"GET /2 HTTP/1.1\r\nHost: test\r\n\r\n")
    write_app(tmp_path, "second", "2")
    assert waits.response().body == b"2"


def test_a_front_that_cannot_start_takes_along_who_will_not_end(several: Split, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    os.mkfifo(tokens, 0o600)
    site = several(
        f'[api]\nbind = "unix:{tmp_path}/api.sock"\ntoken_file = "{tokens}"\n[timeouts]\ngraceful = 1\n'
        '[apps.one]\nprefix = "/1"\ncommand = ["sh", "-c", "trap \'\' TERM; echo deaf >&2; exec tail -f /dev/null"]\n'
        '[apps.two]\nprefix = "/2"\n',
        ready=False,
    )
    site.log.wait_for("deaf")
    # The front has waited for this.
    tokens.write_text("none\n")
    assert site.wait() == 2
    assert re.search(r"one worker 1 .*killed", site.log.text)


def test_a_preloaded_application_that_cannot_start_is_tried_again(
    several: Split, connect: Connect, tmp_path: Path
) -> None:
    write_app(tmp_path, "first", "1")
    (tmp_path / "second.py").write_text("not right(")
    two = '[apps.two]\nprefix = "/2"\ntarget = "second:app"\npreload = true\n'
    site = several(f'[apps.one]\nprefix = "/1"\ntarget = "first:app"\n{two}')
    assert "two (no worker has started)" in site.log.text
    write_app(tmp_path, "second", "2")
    assert connect(site).request(b"GET /2 HTTP/1.1\r\nHost: test\r\n\r\n").body == b"2"


# Several applications.


def test_two_applications_behind_one_port(several: Split, connect: Connect, tmp_path: Path) -> None:
    write_app(tmp_path, "blog", "a blog")
    write_app(tmp_path, "shop", "a shop")
    site = several(
        '[apps.blog]\nhost = ["blog.test"]\ntarget = "blog:app"\nworkers = 2\n'
        '[apps.shop]\nprefix = "/shop"\ntarget = "shop:app"\nlabel = "v7"\n'
    )
    titles = sorted(children(site.process.pid).values())
    workers = ["drawbar: blog worker 1", "drawbar: blog worker 2", "drawbar: front", "drawbar: shop v7 worker 1"]
    assert titles == workers
    client = connect(site)
    assert client.request(b"GET / HTTP/1.1\r\nHost: blog.test\r\n\r\n").body == b"a blog"
    assert client.request(b"GET /shop HTTP/1.1\r\nHost: a.test\r\n\r\n").body == b"a shop"
    assert client.request(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").status == 404
    assert "front on" in site.log.text
    assert "blog (2 workers), shop (1 worker)" in site.log.text


def test_a_reload_adds_an_application_and_takes_another_away(several: Split, connect: Connect, tmp_path: Path) -> None:
    for name in ("blog", "shop", "wiki"):
        write_app(tmp_path, name, name)
    blog, shop, wiki = (
        f'[apps.{name}]\nprefix = "/{name}"\ntarget = "{name}:app"\n' for name in ("blog", "shop", "wiki")
    )
    site = several(blog + shop)
    (tmp_path / "drawbar.toml").write_text(blog + wiki)
    site.process.send_signal(signal.SIGHUP)
    site.log.wait_for("reloaded")
    titles = sorted(children(site.process.pid).values())
    assert titles == ["drawbar: blog worker 1", "drawbar: front", "drawbar: wiki worker 1"]
    client = connect(site)
    for name, status in (("blog", 200), ("wiki", 200), ("shop", 404)):
        assert client.request(f"GET /{name} HTTP/1.1\r\nHost: test\r\n\r\n".encode()).status == status


def test_an_application_whose_new_version_does_not_start_stays_alone_as_it_was(
    several: Split, connect: Connect, tmp_path: Path
) -> None:
    for name in ("blog", "shop"):
        write_app(tmp_path, name, f"{name} 1")
    toml = "".join(f'[apps.{name}]\nprefix = "/{name}"\ntarget = "{name}:app"\n' for name in ("blog", "shop"))
    site = several(toml)
    write_app(tmp_path, "blog", "blog 2")
    (tmp_path / "shop.py").write_text("not right(")
    site.process.send_signal(signal.SIGHUP)
    site.log.wait_for("shop: the last reload failed, the former workers serve on: .*SyntaxError")
    site.log.wait_for(r"blog worker 1 is ready")
    client = connect(site)
    site.log.wait_for(r"debug: blog worker 1 \(pid \d+\) exited with code 0")
    assert client.request(b"GET /blog HTTP/1.1\r\nHost: test\r\n\r\n").body == b"blog 2"
    assert client.request(b"GET /shop HTTP/1.1\r\nHost: test\r\n\r\n").body == b"shop 1"


# What an operator does.


def test_a_reload_under_load_loses_nothing(split: Split, tmp_path: Path) -> None:
    site = split("plain:app", "--workers", "2")
    with clients(site) as answers:
        for count in (1, 2):
            site.process.send_signal(signal.SIGHUP)
            site.log.wait_for_many("reloaded", count)
    assert len(set(answers)) >= 3


def test_workers_that_are_killed_cost_no_get_under_load(split: Split) -> None:
    site = split("plain:app", "--workers", "2")
    site.log.wait_for_many("attached to", 2)
    with clients(site):
        for count in range(1, 4):
            worker = next(pid for pid, title in children(site.process.pid).items() if "app worker" in title)
            os.kill(worker, signal.SIGKILL)
            site.log.wait_for_many("attached to", 2 + count)


def test_an_upgrade_under_load_loses_nothing(split: Split, tmp_path: Path) -> None:
    site = split("plain:app", "--workers", "2")
    with clients(site):
        site.process.send_signal(signal.SIGUSR2)
        site.log.wait_for_many("serving plain", 2)
        assert site.process.wait(PATIENCE_S) == 0
    master = int((tmp_path / "pid").read_text())
    titles = sorted(children(master).values())
    assert titles == ["drawbar: app worker 1", "drawbar: app worker 2", "drawbar: front"]
    place = Path(site.log.wait_for(r"attached to unix:(\S+) as app")[1]).parent
    os.kill(master, signal.SIGTERM)
    assert site.wait() == 0
    assert not place.exists()


def test_an_upgrade_to_what_does_not_start_lets_nobody_in(several: Split, connect: Connect, tmp_path: Path) -> None:
    write_app(tmp_path, "first", "1")
    site = several('[server]\nsplit = true\n[app]\ntarget = "first:app"\n')
    (tmp_path / "first.py").write_text("not right(")
    with clients(site, request=GET):
        site.process.send_signal(signal.SIGUSR2)
        site.log.wait_for("not upgraded, this one serves on")
    assert connect(site).request(GET).body == b"1"


def test_the_front_ends_first_and_the_workers_after_its_last_answer(split: Split, connect: Connect, fifo: Fifo) -> None:
    site = split("plain:app", "--threads", "1")
    client, waits = connect(site), connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    site.log.wait_for("holding")
    waits.send(GET)
    site.process.send_signal(signal.SIGTERM)
    site.log.wait_for("SIGTERM: stopping")
    fifo.release()
    assert client.response().status == 200
    assert waits.response().body == b"ok"
    assert site.wait() == 0
    ends = [line for line in site.log.lines if "exited with code 0" in line]
    assert len(ends) == 2
    assert " front (pid" in ends[0]
    assert " app worker 1 (pid" in ends[1]


def test_ctrl_c_of_a_terminal_ends_the_front_first(split: Split, connect: Connect, fifo: Fifo) -> None:
    site = split("plain:app")
    client = connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    site.log.wait_for("holding")
    # As the terminal does it: to each process.
    for pid in [*children(site.process.pid), site.process.pid]:
        os.kill(pid, signal.SIGINT)
    site.log.wait_for("SIGINT: stopping")
    fifo.release()
    assert client.response().status == 200
    assert site.wait() == 0
    assert "died" not in site.log.text


def test_a_stop_while_the_application_is_imported_is_a_stop(split: Split, tmp_path: Path) -> None:
    gate = Fifo(tmp_path / "gate")
    (tmp_path / "slow.py").write_text(f"print('importing', flush=True)\nopen({str(gate.path)!r})\n")
    site = split("slow:app", chdir=tmp_path, ready=False)
    site.output.wait_for("importing")
    site.process.send_signal(signal.SIGTERM)
    assert site.wait() == 0
    assert "front started" not in site.log.text


def test_a_second_and_third_signal_make_haste(split: Split, connect: Connect, fifo: Fifo) -> None:
    site = split("plain:app")
    client = connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    site.log.wait_for("holding")
    for count in range(3):
        site.process.send_signal(signal.SIGTERM)
        site.log.wait_for_many("SIGTERM", count + 1)
    assert site.wait() == 0


def test_more_and_fewer_workers(split: Split, tmp_path: Path) -> None:
    path = tmp_path / "ctl.sock"
    site = split("plain:app", "--control-socket", str(path))
    site.process.send_signal(signal.SIGTTIN)
    site.log.wait_for("app worker 2 is ready")
    assert ctl(path, "workers", "3").returncode == 0
    site.log.wait_for("app worker 3 is ready")
    site.process.send_signal(signal.SIGTTOU)
    site.log.wait_for(r"app worker 3 \(pid \d+\) exited with code 0")


def test_what_was_said_of_the_number_holds_over_a_reload_and_an_upgrade(split: Split, tmp_path: Path) -> None:
    site = split("plain:app")
    site.process.send_signal(signal.SIGTTIN)
    site.log.wait_for("app worker 2 is ready")
    site.process.send_signal(signal.SIGHUP)
    site.log.wait_for("reloaded: 3 workers")
    site.process.send_signal(signal.SIGUSR2)
    site.log.wait_for("a front and 2 workers")
    assert site.process.wait(PATIENCE_S) == 0
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    assert site.wait() == 0


def test_which_application_shall_have_more_must_be_said(several: Split, tmp_path: Path) -> None:
    path = tmp_path / "ctl.sock"
    for name in ("blog", "shop"):
        write_app(tmp_path, name, name)
    toml = "".join(f'[apps.{name}]\nprefix = "/{name}"\ntarget = "{name}:app"\n' for name in ("blog", "shop"))
    site = several(toml, "--control-socket", str(path))
    refused = ctl(path, "workers", "2")
    assert refused.returncode != 0
    assert "--app NAME, of blog, shop" in refused.stderr
    assert ctl(path, "workers", "2", "--app", "shop").returncode == 0
    site.log.wait_for("shop worker 2 is ready")
    assert "blog worker 2" not in site.log.text


def ctl(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "drawbar", "ctl", "--control", str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_the_status_tells_the_teams_apart_and_counts_a_request_once(
    split: Split, connect: Connect, tmp_path: Path
) -> None:
    path = tmp_path / "ctl.sock"
    site = split("plain:app", "--workers", "2", "--control-socket", str(path))
    client = connect(site)
    for _ in range(5):
        assert client.request(GET).status == 200
    # A response is counted before its connection is read again.
    status = json.loads(ctl(path, "status", "--json").stdout)
    assert [worker["team"] for worker in status["workers"]] == ["front", "app", "app"]
    assert status["totals"]["requests"]["2xx"] == 5
    assert status["desired"] == 3
    assert status["ready"]


def test_a_daemon_is_told_of_when_its_application_serves(several: Split, tmp_path: Path, connect: Connect) -> None:
    write_app(tmp_path, "first", "1")
    site = several(
        f'[server]\nsplit = true\n[app]\ntarget = "first:app"\n[log]\nerror = "{tmp_path / "error.log"}"\n',
        "--daemonize",
        ready=False,
    )
    assert site.wait() == 0
    line = (tmp_path / "error.log").read_text()
    port = int(re.search(r"serving first:app \(wsgi\) on http://127.0.0.1:(\d+)", line)[1])  # type: ignore[index]
    with RawClient(("127.0.0.1", port)) as client:
        assert client.request(GET).body == b"1"
    master = int((tmp_path / "pid").read_text())
    descriptor = os.pidfd_open(master)
    os.kill(master, signal.SIGTERM)
    assert select.select([descriptor], [], [], PATIENCE_S)[0]
    os.close(descriptor)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_workers_of_another_user_reach_the_front(split: Split, connect: Connect) -> None:
    site = split("plain:app", "--group", "nogroup")
    pid = int(connect(site).request(PID).body)
    assert os.stat(f"/proc/{pid}").st_gid == NOBODY.pw_gid
    assert os.stat(f"/proc/{site.process.pid}").st_gid == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [(("--chroot", "/tmp"), "would not find the front"), (("--inetd",), "all there is")],
)
def test_what_does_not_go_together_is_refused(server: Servers, options: tuple[str, ...], why: str) -> None:
    site = server("plain:app", "--split", *options, chdir=SITES, ready=False)
    assert site.wait() == 2
    assert why in site.log.text
