"""A running server asked and told: `drawbar ctl`, its API and its metrics, with real workers behind them."""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drawbar.config.sources import load
from tests.conftest import Connect
from tests.server.conftest import Fifo
from tests.support import frames
from tests.support.desk import Answer, UnixConnection, ask
from tests.support.server import PATIENCE_S, ROOT, Server, Servers

SITES = Path(__file__).parent / "sites"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Controlled:
    """A server and its control socket."""

    def __init__(
        self, servers: Servers, directory: Path, *options: str, target: str = "plain:app", chdir: Path = SITES
    ) -> None:
        self.path = str(directory / "control.sock")
        self.server: Server = servers(target, "--control-socket", self.path, *options, chdir=chdir)

    def ask(self, method: str, target: str, body: Any = None) -> Answer:
        return ask(UnixConnection(self.path), method, target, body)

    def status(self) -> Any:
        return self.ask("GET", "/status").json

    def ctl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "drawbar", "ctl", "--control", self.path, *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)

    def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels, as the text has them."""
        text = self.ask("GET", "/metrics").text
        assert list(text_string_to_metric_families(text))
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}


def test_status_of_workers(server: Servers, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path, "--workers", "2")
    status = controlled.status()
    assert status["pid"] == controlled.server.process.pid
    assert status["target"] == "plain:app"
    assert status["ready"] is True
    assert status["desired"] == 2
    assert status["listeners"][0]["address"] == controlled.server.url
    assert status["listeners"][0]["backlog"] == {"waiting": 0, "limit": 2048}
    for worker in status["workers"]:
        assert Path(f"/proc/{worker['pid']}/comm").read_text() == "drawbar-worker\n"
        assert worker["memory"]["rss"] > worker["memory"]["pss"] > 0


@pytest.mark.parametrize(
    ("target", "options", "places"),
    [
        ("models:app", ("--concurrency", "greenlets"), 0),
        ("models:app", ("--concurrency", "greenlets", "--max-concurrency", "5"), 5),
        ("plain:app", ("--concurrency", "fork", "--max-concurrency", "3"), 3),
        ("plain:app", ("--threads", "1"), 1),
        ("plain:app", ("--threads", "1:4"), 4),
    ],
)
def test_places_for_calls(server: Servers, tmp_path: Path, target: str, options: tuple[str, ...], places: int) -> None:
    controlled = Controlled(server, tmp_path, *options, target=target)
    [worker] = controlled.status()["workers"]
    assert (worker["busy"], worker["threads"]) == (0, places)


def test_what_workers_do_is_counted_and_outlives_them(server: Servers, connect: Connect, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path)
    for _ in range(3):
        assert connect(controlled.server).request(GET).status == 200
    assert connect(controlled.server).request(b"GET / HTTP/1.1\r\n\r\n").status == 400
    before = controlled.metrics()
    assert before['drawbar_requests_total{status="2xx"}'] == 3
    assert before['drawbar_requests_total{status="4xx"}'] == 1
    assert before["drawbar_connections_accepted_total"] == 4
    assert before["drawbar_request_duration_seconds_count"] >= 3
    assert before["drawbar_received_bytes_total"] >= 3 * len(GET)
    assert controlled.status()["workers"][0]["requests"] >= 3
    assert controlled.ctl("reload").returncode == 0
    after = controlled.metrics()
    assert after["drawbar_generation"] == 2
    assert after['drawbar_worker_restarts_total{cause="reload"}'] == 1
    assert after.keys() == before.keys()
    for name, value in before.items():
        if "_total" in name or "_bucket" in name or "_count" in name:
            assert after[name] >= value, name
    assert connect(controlled.server).request(GET).status == 200
    assert controlled.metrics()['drawbar_requests_total{status="2xx"}'] == 4


def test_a_request_in_flight_is_shown_with_its_target(
    server: Servers, connect: Connect, tmp_path: Path, fifo: Fifo
) -> None:
    controlled = Controlled(server, tmp_path)
    client = connect(controlled.server)
    client.send(b"GET /hold%s HTTP/1.1\r\nHost: test\r\n\r\n" % str(fifo.path).encode())
    controlled.server.log.wait_for("^holding")
    (worker,) = controlled.status()["workers"]
    assert worker["busy"] == 1
    assert worker["connections"] == 1
    (running,) = worker["in_flight"]
    assert running["request"].startswith("GET /hold/")
    assert running["called"] is True
    assert running["peer"].startswith("127.0.0.1:")
    assert running["seconds"] > 0
    assert controlled.metrics()["drawbar_requests_running"] == 1
    top = [sys.executable, "-m", "drawbar", "top", "--control", controlled.path, "--count", "1"]
    shown = subprocess.run(top, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    assert "GET /hold/" in shown
    # Probes are answered beside it, and need no worker.
    assert controlled.ask("GET", "/readyz").status == 200
    fifo.release()
    assert client.response().status == 200
    assert controlled.status()["workers"][0]["in_flight"] == []


def test_what_lasts_by_its_nature_is_not_the_oldest_request(server: Servers, connect: Connect, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path, "--interface", "asgi", target="lasting:app")
    stream, socket, client = (connect(controlled.server) for _ in range(3))
    stream.send(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
    assert stream.read_until(b"begun")
    socket.send(frames.head())
    assert socket.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    found = controlled.metrics()
    assert (found["drawbar_requests_running"], found["drawbar_oldest_request_seconds"]) == (2, 0)
    (worker,) = controlled.status()["workers"]
    assert [running["answered"] for running in worker["in_flight"]] == [True, True]
    client.send(GET)
    controlled.server.output.wait_for("^holding")
    assert controlled.metrics()["drawbar_oldest_request_seconds"] > 0
    # Younger than the others, but somebody waits for it.
    assert controlled.status()["workers"][0]["in_flight"][0]["request"] == "GET /"
    for each in (stream, socket, client):
        each.close()


def test_ctl_changes_the_number_of_workers(server: Servers, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path)
    assert controlled.ctl("workers", "+1").returncode == 0
    controlled.server.log.wait_for("worker 2 is ready")
    assert controlled.status()["desired"] == 2
    assert len(controlled.status()["workers"]) == 2
    done = controlled.ctl("workers", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "one worker is the least" in done.stderr
    # Who asked knows it: for others it is no trouble of the server.
    assert controlled.status()["last_error"] is None


WORKING = (SITES / "plain.py").read_text()
BROKEN = "raise RuntimeError('half written')\n"


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_a_reload_that_fails_says_why_and_changes_nothing(
    server: Servers, tmp_path: Path, preload: tuple[str, ...]
) -> None:
    (tmp_path / "app.py").write_text(WORKING)
    controlled = Controlled(server, tmp_path, *preload, target="app:app", chdir=tmp_path)
    (tmp_path / "app.py").write_text(BROKEN)
    done = controlled.ctl("reload")
    assert done.returncode == 1
    assert done.stderr.startswith("drawbar: error: the new workers do not start, the former ones serve on: ")
    assert done.stderr.count("RuntimeError: half written") == done.stderr.count("\n") == 1
    status = controlled.status()
    assert status["last_error"].startswith("the last reload failed: ")
    assert "RuntimeError: half written" in status["last_error"]
    assert status["last_error_s_ago"] >= 0
    assert controlled.ask("GET", "/readyz").status == 200
    address = http.client.HTTPConnection("127.0.0.1", controlled.server.port, timeout=PATIENCE_S)
    assert ask(address, "GET", "/").text == "ok"
    (tmp_path / "app.py").write_text(WORKING)
    assert controlled.ctl("reload").returncode == 0
    assert controlled.status()["last_error"] is None


@pytest.mark.parametrize(
    ("broken", "text", "why"),
    [("app.py", BROKEN, "RuntimeError: half written"), ("drawbar.toml", "[server]\nwrong = 1\n", "wrong")],
)
def test_an_upgrade_that_fails_says_why(server: Servers, tmp_path: Path, broken: str, text: str, why: str) -> None:
    (tmp_path / "app.py").write_text(WORKING)
    file = tmp_path / "drawbar.toml"
    file.write_text("")
    controlled = Controlled(server, tmp_path, "--config", str(file), target="app:app", chdir=tmp_path)
    (tmp_path / broken).write_text(text)
    done = controlled.ctl("upgrade")
    assert done.returncode == 1
    assert done.stderr.startswith("drawbar: error: the new master does not start, this one serves on: ")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert why in controlled.status()["last_error"]
    assert controlled.ask("GET", "/readyz").status == 200


def test_kill_and_the_cause_that_is_counted(server: Servers, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path)
    pid = controlled.status()["workers"][0]["pid"]
    process = os.pidfd_open(pid)
    assert controlled.ctl("kill", str(pid)).stdout == f"worker {pid} is to go\n"
    assert select.select([process], [], [], PATIENCE_S)[0]
    os.close(process)
    (worker,) = controlled.status()["workers"]
    assert worker["pid"] != pid
    assert worker["phase"] == "ready"
    restarts = {name: value for name, value in controlled.metrics().items() if "restarts" in name and value}
    assert sum(restarts.values()) == 1


def test_pause_fails_readiness_and_resume_mends_it(server: Servers, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path)
    assert controlled.ctl("pause").stdout == "paused\n"
    answer = controlled.ask("GET", "/readyz")
    assert (answer.status, answer.json["detail"]) == (503, "the server is paused")
    assert controlled.ctl("resume").stdout == "resumed\n"
    assert controlled.ask("GET", "/readyz").status == 200


def test_readiness_fails_first_when_the_server_stops(
    server: Servers, connect: Connect, tmp_path: Path, fifo: Fifo
) -> None:
    controlled = Controlled(server, tmp_path)
    client = connect(controlled.server)
    client.send(b"GET /hold%s HTTP/1.1\r\nHost: test\r\n\r\n" % str(fifo.path).encode())
    controlled.server.log.wait_for("^holding")
    stopping = threading.Thread(target=controlled.ctl, args=("stop",))
    stopping.start()
    controlled.server.log.wait_for("stopping")
    assert controlled.ask("GET", "/readyz").json["detail"] == "the server is draining"
    assert controlled.ask("GET", "/livez").status == 200
    refused = controlled.ask("POST", "/reload")
    assert (refused.status, refused.json["detail"]) == (409, "the server is stopping")
    fifo.release()
    assert client.response().status == 200
    stopping.join()
    assert controlled.server.wait() == 0
    assert not os.path.exists(controlled.path)


def test_an_upgrade_keeps_socket_addresses_and_figures(server: Servers, connect: Connect, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path, "--metrics-bind", "127.0.0.1:0")
    assert connect(controlled.server).request(GET).status == 200
    old = controlled.status()["pid"]
    done = controlled.ctl("upgrade")
    assert (done.returncode, done.stderr) == (0, "")
    assert controlled.server.process.wait(PATIENCE_S) == 0
    status = controlled.status()
    try:
        assert status["pid"] != old
        assert connect(controlled.server).request(GET).status == 200
        assert controlled.metrics()['drawbar_requests_total{status="2xx"}'] == 2
    finally:
        os.kill(status["pid"], signal.SIGTERM)
    assert controlled.server.wait() == 0
    assert not os.path.exists(controlled.path)


def test_a_reload_tells_what_waits_for_an_upgrade(server: Servers, tmp_path: Path) -> None:
    file = tmp_path / "drawbar.toml"
    file.write_text("[server]\nworkers = 1\n")
    controlled = Controlled(server, tmp_path, "--config", str(file))
    file.write_text("[server]\nworkers = 2\n[process]\numask = '027'\n")
    warning = "drawbar: warning: process.umask has changed: an upgrade or a restart will honour it\n"
    for options in ([], ["--no-wait"]):
        done = controlled.ctl("reload", *options)
        assert (done.returncode, done.stderr) == (0, warning)
    shown = controlled.ctl("config").stdout
    assert 'umask = ""  # default; waits for an upgrade: "027"' in shown
    shown = controlled.ctl("config", "--all").stdout
    # The rest is in force, and all of it a file that could be read again.
    settings = tomllib.loads(shown)
    assert settings["server"]["workers"] == 2
    assert settings["app"]["target"] == "plain:app"
    written = tmp_path / "written.toml"
    written.write_text(shown)
    assert load({}, {}, file=str(written)).config.server.workers == 2


@pytest.mark.parametrize("verb", [["logs", "reopen"], ["stacks"], ["restart"], ["config", "--json"]])
def test_the_other_verbs(server: Servers, tmp_path: Path, verb: list[str]) -> None:
    controlled = Controlled(server, tmp_path)
    done = controlled.ctl(*verb)
    assert (done.returncode, done.stderr) == (0, "")
    if verb[0] == "config":
        settings = {item["key"]: item for item in json.loads(done.stdout)["settings"]}
        assert settings["control.socket"] == {
            "key": "control.socket",
            "value": controlled.path,
            "source": "--control-socket",
        }
    if verb[0] == "stacks":
        controlled.server.log.wait_for("stacks of 1 worker")
