"""No descriptors and no disk left: what does not fit is refused with a line in the log, and everything else goes on."""

import os
import re
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES, WAYS
from tests.support.raw import RawClient
from tests.support.server import Server, Servers

MIB = 1 << 20
FEW_FILES = 64
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


# A process for each request needs descriptors of its own, and waits for its client instead of spilling: test_fork.py.
IN_PLACE = [way for way in WAYS if way != "fork"]


def upload(size: int) -> bytes:
    return b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


def starve(site: Server, client: RawClient) -> None:
    """Leaves the worker few descriptors; it raised its own limit when it started."""
    pid = int(client.request(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n").body)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (FEW_FILES, FEW_FILES))


@pytest.mark.parametrize("way", IN_PLACE)
def test_without_descriptors_it_serves_those_it_has(server: Servers, connect: Connect, way: str) -> None:
    name, *options = WAYS[way]
    site = server(f"plain:{name}", *options, chdir=SITES)
    neighbour = connect(site)
    starve(site, neighbour)
    crowd = [connect(site) for _ in range(2 * FEW_FILES)]
    for client in crowd:
        client.send(GET)
    site.log.wait_for(r"error: OSError: .*cannot accept a connection with \d+ open: Too many open files")
    assert neighbour.request(GET).body == b"ok"
    # Each that goes makes room for one that waits.
    for client in crowd:
        assert client.response().body == b"ok"
        client.close()
    assert connect(site).request(GET).body == b"ok"
    assert len([line for line in site.log.lines if "cannot accept" in line]) < 2 * FEW_FILES


def test_without_descriptors_a_large_body_is_refused(server: Servers, connect: Connect) -> None:
    site = server("plain:app", chdir=SITES)
    client = connect(site)
    starve(site, client)
    crowd = [connect(site) for _ in range(2 * FEW_FILES)]
    site.log.wait_for("cannot accept")
    client.send(upload(MIB))
    assert client.response().status == 503
    site.log.wait_for(r"info: 503 from .*: there is no room to buffer the request's body")
    assert not any(word in site.log.text for word in ("Traceback", "died"))
    for waiting in crowd:
        waiting.close()
    assert connect(site).request(upload(MIB)).body == b"%d" % MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    directory = tmp_path / "disk"
    directory.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", directory], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small file system to be had here: {mounted.stderr.decode().strip()}")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


@pytest.mark.parametrize("way", ["inline", "threads"])
def test_a_full_disk_refuses_large_bodies(server: Servers, connect: Connect, small_disk: Path, way: str) -> None:
    name, *options = WAYS[way]
    site = server(f"plain:{name}", *options, "--temp-dir", str(small_disk), chdir=SITES)
    neighbour = connect(site)
    for _ in range(2):
        client = connect(site)
        client.send(upload(2 * MIB))
        response = client.response()
        assert (response.status, response.header("connection")) == (503, "close")
        client.end()
        assert client.read_to_end() == b""
        assert neighbour.request(GET).body == b"ok"
        # What was written is gone with its client.
        assert neighbour.request(upload(MIB // 2)).body == b"%d" % (MIB // 2)
    site.log.wait_for_many(r"error: OSError: .*No space left on device", 2)
    site.log.wait_for_many(r"info: 503 from .*: there is no room to buffer the request's body", 2)


@pytest.mark.parametrize("way", IN_PLACE)
def test_a_full_disk_breaks_large_responses_off(server: Servers, connect: Connect, small_disk: Path, way: str) -> None:
    name, *options = WAYS[way]
    site = server(f"plain:{name}", *options, "--temp-dir", str(small_disk), chdir=SITES)
    neighbour = connect(site)
    size = 50 * MIB
    client = connect(site)
    # In one piece it does not fit; in pieces an ASGI application waits for its reader instead.
    client.send(b"GET /one/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
    site.log.wait_for(r"error: OSError: .*No space left on device")
    assert neighbour.request(GET).body == b"ok"
    try:
        received = len(client.read_to_end())
    except ConnectionResetError:
        received = len(client.received)
    assert received < size
    assert neighbour.request(GET).body == b"ok"
    assert "died" not in site.log.text


def test_a_full_disk_under_the_logs(server: Servers, tmp_path: Path) -> None:
    address = tmp_path / "socket"
    site = server(
        "logged:app",
        *("--workers", "2", "--error-log", "/dev/full", "--access-log", "/dev/full", "--threads", "1"),
        chdir=SITES,
        bind=f"unix:{address}",
        ready=False,
    )
    # Once each process that has something to say. The first line of all is the master's, that it serves.
    full = r"\[(\d+)\] error: the error log loses lines: cannot write /dev/full: No space left on device$"
    site.log.wait_for(full)
    for _ in range(20):
        with RawClient(str(address)) as client:
            assert client.request(GET.replace(b"/", b"/now", 1)).status == 500
    site.process.send_signal(signal.SIGHUP)
    for _ in range(20):
        with RawClient(str(address)) as client:
            assert client.request(GET.replace(b"/", b"/now", 1)).status == 500
    site.stop()
    said = [re.search(full, line) for line in site.log.lines if line != "loaded"]
    assert all(said), site.log.text
    assert len({found[1] for found in said if found}) == len(said)
