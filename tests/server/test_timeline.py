"""Where a request's time went, and who had it, as an operator sees it: a real front with workers of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Connect
from tests.server.conftest import SITES, Fifo
from tests.support.desk import UnixConnection, ask
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S, ROOT, Server, Servers

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
ONE_SLOT = ("--split", "--threads", "1", "--api", "127.0.0.1:0")


class Watched:
    """A front with one worker that has one slot, and what is asked of both."""

    def __init__(self, server: Server, control: Path) -> None:
        self.server = server
        self.control = str(control)

    def client(self) -> RawClient:
        return RawClient((self.server.host, self.server.port))

    def ask(self, path: str) -> Any:
        return ask(UnixConnection(self.control), "GET", path)

    def queue(self) -> dict[str, Any]:
        """What the front tells of its one app."""
        (queue,) = self.ask("/status").json["front"]["queues"]
        found: dict[str, Any] = queue
        return found

    def run(self, *command: str) -> str:
        whole = [sys.executable, "-m", "drawbar", *command]
        done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
        return done.stdout

    def probe(self, path: str) -> int:
        """The status of a probe on the API's address."""
        (port,) = {int(found["address"].rpartition(":")[2]) for found in self.ask("/status").json["listeners"]} - {
            self.server.port
        }
        client = RawClient(("127.0.0.1", port))
        try:
            return client.request(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()).status
        finally:
            client.close()


Watch = Callable[..., Watched]


@pytest.fixture
def watch(server: Servers, tmp_path: Path) -> Watch:
    """Starts one."""

    def start(*options: str) -> Watched:
        control = tmp_path / "control.sock"
        found = server("plain:app", *ONE_SLOT, "--control-socket", str(control), *options, chdir=SITES)
        return Watched(found, control)

    return start


def hold(fifo: Fifo) -> bytes:
    return b"GET /hold%s HTTP/1.1\r\nHost: test\r\n\r\n" % str(fifo.path).encode()


def test_a_worker_at_work_and_a_queue_behind_it(watch: Watch, fifo: Fifo) -> None:
    watched = watch()
    held, waiting = watched.client(), watched.client()
    held.send(hold(fifo))
    watched.server.log.wait_for("holding")
    waiting.send(GET)
    queue = watched.queue()
    while queue["queued"] == 0:
        queue = watched.queue()
    assert (queue["leased"], queue["idle"], queue["ready"]) == (1, 0, True)
    (worker,) = queue["workers"]
    assert re.fullmatch(r"[A-Za-z0-9._-]+:\d+", worker["worker"])
    assert (worker["leased"], worker["idle"]) == (1, 0)
    first, second = queue["requests"]
    assert (first["request"], first["worker"], first["attempts"]) == (f"GET /hold{fifo.path}", worker["worker"], 1)
    assert (second["request"], second["worker"]) == ("GET /", "")

    shown = watched.run("ctl", "--control", watched.control, "status")
    assert "plain:app (wsgi) behind a front, serving" in shown
    assert re.search(r"^front +\d+ +ready", shown, re.MULTILINE)
    assert re.search(r"^app 1 +\d+ +ready", shown, re.MULTILINE)
    assert re.search(rf"^{worker['worker']} +app +- +attach +1 +0$", shown, re.MULTILINE)
    assert "queued 1, " in watched.run("top", "--control", watched.control, "--count", "1")

    text = watched.ask("/metrics").text
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if set(sample.labels) <= {"app", "label"}
    }
    assert (samples["drawbar_app_queued"], samples["drawbar_app_running"], samples["drawbar_app_room"]) == (1, 1, 0)
    # What the worker does the front counts already.
    assert (samples["drawbar_requests_running"], samples["drawbar_connections"]) == (1, 2)

    fifo.release()
    assert held.response().status == 200
    assert waiting.response().status == 200
    for client in (held, waiting):
        client.close()


def test_stacks_are_those_of_the_front_too(watch: Watch) -> None:
    watched = watch()
    told = watched.run("ctl", "--control", watched.control, "stacks")
    assert re.search(r"^front \(pid \d+\)", told, re.MULTILINE)
    assert re.search(r"^app worker 1 \(pid \d+\)", told, re.MULTILINE)


def test_the_access_log_says_who_had_a_request_and_for_how_long(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    watched = watch("--access-log", str(path), "--access-log-format", "json", "--server-timing")
    client = watched.client()
    response = client.request(GET)
    assert re.fullmatch(r"queue;dur=\d+\.\d{3}, app;dur=\d+\.\d{3}", response.header("server-timing") or "")
    client.close()
    (worker,) = watched.queue()["workers"]
    # A line is written when the answer is on its way.
    watched.server.stop()
    # Only the front writes: a request is one line.
    (line,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (line["target"], line["app"], line["attempt"], line["label"]) == ("/", "app", 1, None)
    assert line["worker"] == worker["worker"]
    parts = line["client_ms"] + line["queue_ms"] + line["app_ms"]
    assert parts == pytest.approx(line["duration_ms"], abs=0.002)


def test_a_format_of_ones_own(server: Servers, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    form = '%h "%r" %s %{X-Id}i queue=%{queue_ms}x by %{worker}x'
    site = server("plain:app", "--access-log", str(path), "--access-log-format", form, chdir=SITES)
    client = connect(site)
    assert client.request(b"GET /?a HTTP/1.1\r\nHost: test\r\nX-Id: 7\r\n\r\n").status == 200
    client.close()
    site.stop()
    assert re.fullmatch(r'127\.0\.0\.1 "GET /\?a HTTP/1\.1" 200 7 queue=\d+\.\d+ by -\n', path.read_text())


def test_probes_answer_with_every_slot_busy_and_the_queue_full(watch: Watch, fifo: Fifo) -> None:
    watched = watch("--queue-length", "1")
    held, waiting, refused = watched.client(), watched.client(), watched.client()
    held.send(hold(fifo))
    watched.server.log.wait_for("holding")
    waiting.send(GET)
    while watched.queue()["queued"] == 0:
        pass
    assert refused.request(GET).status == 503
    # Nothing that they wait for will come before they are answered.
    assert (watched.probe("/livez"), watched.probe("/readyz")) == (200, 200)
    assert watched.queue()["requests"][0]["worker"]
    fifo.release()
    for client in (held, waiting):
        assert client.response().status == 200
    for client in (held, waiting, refused):
        client.close()
