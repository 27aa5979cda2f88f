"""Whose an application's requests are, ordered by `drawbar ctl`: a real front, and workers that the test is.

Client, front and worker take turns: a client asks, a worker reads and answers, the client reads.
"""

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.conftest import SITES, Fifo
from tests.support.raw import RawClient, Response
from tests.support.server import PATIENCE_S, Server, Servers

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


class Worker(RawClient):
    """A slot of a worker that attached with a label."""

    def __init__(self, front: "Fronted", label: str) -> None:
        super().__init__(front.api)
        query = f"app=app&label={label}" if label else "app=app"
        upgrade = "Connection: Upgrade\r\nUpgrade: PTTH/1.0"
        self.send(f"GET /api/v2/attach?{query} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\n\r\n".encode())
        assert self.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")

    def serve(self, answer: bytes = OK) -> None:
        """The next request that comes to it."""
        self.read_until(b"\r\n\r\n")
        self.send(answer)


class Fronted:
    """A front that `ctl` reaches, and who connects to it."""

    def __init__(self, server: Server, path: str) -> None:
        self.server = server
        self.path = path
        host, _, port = server.api.removeprefix("http://").rpartition(":")
        self.api = (host, int(port or 0))
        self._connections: list[RawClient] = []
        self._commands: list[subprocess.Popen[str]] = []

    def worker(self, label: str = "") -> Worker:
        worker = Worker(self, label)
        self._connections.append(worker)
        return worker

    def client(self, request: bytes = GET) -> RawClient:
        """One that has asked."""
        client = RawClient((self.server.host, self.server.port))
        self._connections.append(client)
        client.send(request)
        return client

    def exchange(self, worker: Worker, answer: bytes = OK) -> Response:
        client = self.client()
        worker.serve(answer)
        response = client.response()
        client.close()
        return response

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "drawbar", "ctl", "--control", self.path, *arguments]

    def ctl(self, *arguments: str) -> str:
        """What it says, when it has done it."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def refused(self, *arguments: str) -> str:
        """Why it does not."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (done.returncode, done.stdout) == (1, ""), done.stdout
        return done.stderr.strip().removeprefix("drawbar: error: ")

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """A command that takes its time; it is under way when the log says so."""
        pipe = subprocess.PIPE
        self._commands.append(subprocess.Popen(self.command(*arguments), stdout=pipe, stderr=pipe, text=True))
        return self._commands[-1]

    def titles(self) -> list[str]:
        """Of the master's children that serve."""
        pid = self.server.process.pid
        found = []
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found.append(Path(f"/proc/{child}/cmdline").read_bytes().rstrip(b"\0").decode())
        return sorted(title for title in found if title and title != "drawbar: control")

    def front_pid(self) -> int:
        pid = self.server.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text() == "drawbar-front\n":
                return int(child)
        raise AssertionError("no front")

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        for command in self._commands:
            command.kill()
            command.communicate()


@pytest.fixture
def front(server: Servers, tmp_path: Path) -> Iterator[Fronted]:
    path = str(tmp_path / "c.sock")
    made = Fronted(server(None, "--api", "127.0.0.1:0", "--control-socket", path, command="serve", cwd=tmp_path), path)
    yield made
    made.close()


VERSION = """
import os
{at_start}

def app(environ, start_response):
    if environ["PATH_INFO"] == "/pid":
        body = b"%d" % os.getpid()
    else:
        body = b"{answer}"
    start_response("{status}", [("Content-Type", "text/plain")])
    return [body]
"""


class Versions:
    """A front with one worker of its own; each version of its application is in a directory of its own."""

    def __init__(self, servers: Servers, folder: Path) -> None:
        self.folder = folder
        self._servers = servers

    def write(self, name: str, status: str = "200 OK", at_start: str = "") -> str:
        """The directory of a version that answers with its name."""
        (self.folder / name).mkdir(exist_ok=True)
        text = VERSION.format(answer=name, status=status, at_start=at_start)
        (self.folder / name / "site_of_test.py").write_text(text)
        return str(self.folder / name)

    def start(self, *options: str, toml: str | None = None) -> Fronted:
        path = str(self.folder / "c.sock")
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        whole = ["--control-socket", path, "--threads", "1", *options]
        if toml is None:
            whole += ["--split", "--chdir", str(self.folder / "v7")]
        target = "site_of_test:app" if toml is None else None
        return Fronted(self._servers(target, *whole, cwd=self.folder, env=env, toml=toml), path)


@pytest.fixture
def versions(server: Servers, tmp_path: Path) -> Versions:
    made = Versions(server, tmp_path)
    made.write("v7")
    return made


def has_nothing(client: RawClient) -> bool:
    """No byte has come."""
    client.socket.setblocking(False)
    try:
        return not client.socket.recv(1)
    except BlockingIOError:
        return True
    finally:
        client.socket.settimeout(PATIENCE_S)


def end(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out.strip(), err.strip()


# -- pause, stop, resume


def test_requests_wait_in_a_pause_and_are_served_after(front: Fronted) -> None:
    worker = front.worker()
    assert front.ctl("pause", "app") == "app: requests wait, for 300 s at most"
    client = front.client()
    # Whatever it was to be given it has by the time the front answers this.
    assert front.ctl("pause", "app").startswith("app: requests wait")
    assert has_nothing(worker)
    assert front.ctl("resume", "app") == "app: requests are served"
    worker.serve()
    assert client.response().body == b"ok"


def test_a_pause_says_what_is_still_answered(front: Fronted) -> None:
    worker = front.worker()
    client = front.client()
    worker.read_until(b"\r\n\r\n")
    assert front.ctl("pause", "app") == "app: requests wait, for 300 s at most; 1 still answered"
    worker.send(OK)
    assert client.response().status == 200


@pytest.mark.parametrize("order", ["crash", "reload", "upgrade"])
def test_a_pause_outlives_the_front(front: Fronted, order: str) -> None:
    front.ctl("pause", "app")
    if order == "crash":
        os.kill(front.front_pid(), signal.SIGKILL)
        front.server.log.wait_for(r"front is ready")
    else:
        front.ctl(order)
    worker, client = front.worker(), front.client()
    assert front.ctl("pause", "app").startswith("app: requests wait")
    assert has_nothing(worker)
    front.ctl("resume", "app")
    worker.serve()
    assert client.response().body == b"ok"
    # After an upgrade it is nobody's child here.
    front.ctl("stop")


def test_a_stop_turns_clients_away_with_its_message(front: Fronted) -> None:
    worker = front.worker()
    assert front.ctl("stop", "app", "--message", "back at noon") == "app: requests are refused"
    answer = front.client().response()
    assert (answer.status, b"back at noon" in answer.body) == (503, True)
    front.ctl("resume", "app")
    assert front.exchange(worker).status == 200


# -- shares


def test_a_split_gives_each_label_its_share(front: Fronted) -> None:
    old, new = front.worker("v7"), front.worker("v8")
    assert front.ctl("split", "app", "v8=25%") == "app: v7 75 %, v8 25 %"
    got = []
    for _ in range(8):
        client = front.client()
        while True:
            worker = next((worker for worker in (old, new) if not has_nothing_waiting(worker)), None)
            if worker is not None:
                break
        got.append("v7" if worker is old else "v8")
        worker.serve()
        client.response()
        client.close()
    assert (got.count("v7"), got.count("v8")) == (6, 2)
    assert front.ctl("split", "app", "off") == "app: all labels alike"


def has_nothing_waiting(worker: Worker) -> bool:
    """No byte can be read, and none is."""
    return not select.select([worker.socket], [], [], 0.01)[0]


def test_what_cannot_be_split_is_refused(front: Fronted) -> None:
    assert front.refused("split", "app", "v8=10%").startswith(
        "app: whose are the other 90 % (no other label is there)?"
    )
    front.worker("v7")
    front.worker()
    why = "app: v8: no worker is there; attached: v7, workers without a label"
    assert wait_until_refused(front, why, "split", "app", "v8=10%", "v7=90%")
    assert front.refused("split", "app", "v7=70%", "=40%") == "app: these shares come to 110 %; all together are 100 %"
    assert front.ctl("split", "app", "v7=70%") == "app: workers without a label 30 %, v7 70 %"


def wait_until_refused(front: Fronted, why: str, *arguments: str) -> bool:
    """Workers are there for the master a moment after their connections are."""
    return any(front.refused(*arguments) == why for _ in range(100))


def test_unknown_applications_and_servers_without_a_queue(front: Fronted, server: Servers, tmp_path: Path) -> None:
    assert front.refused("pause", "blog") == "there is no application 'blog'; there is app"
    fused = str(tmp_path / "fused.sock")
    server("plain:app", "--control-socket", fused, chdir=SITES)
    done = subprocess.run(
        [sys.executable, "-m", "drawbar", "ctl", "--control", fused, "deploy", "app", "--label", "v8"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "this server has no queue" in done.stderr) == (1, True)


# -- versions


def test_a_deploy_waits_for_the_new_workers_and_moves_everything(front: Fronted) -> None:
    old = front.worker("v7")
    front.exchange(old)
    deploy = front.begin("deploy", "app", "--label", "v8", "--judged")
    front.server.log.wait_for("app: deploying v8")
    front.exchange(old)
    assert re.search(r"^deploy +app to v8, for \S+ m?s: waits for its workers$", front.ctl("status"), re.MULTILINE)
    new = front.worker("v8")
    front.server.log.wait_for("app: everything goes to v8, ")
    for number in range(50):
        if number == 7:
            assert ": is judged, 7 of 50 answers, 0 failed\n" in front.ctl("status")
        assert front.exchange(new).status == 200
    code, out, _ = end(deploy)
    assert re.search(
        r"^last deploy +\S+ m?s ago: app: kept v8: 0 of 50 answers failed, ", front.ctl("status"), re.MULTILINE
    )
    (record,) = json.loads(front.ctl("status", "--json"))["deploys"]
    assert (record["app"], record["label"], record["old"], record["stage"]) == ("app", "v8", "v7", "kept")
    assert (code, out) == (0, "app: kept v8: 0 of 50 answers failed, of the last 2 of v7 0")
    assert has_nothing(old)
    # The old one is still there, so this is a matter of a moment.
    assert re.fullmatch(r"app: everything goes to v7, 0\.\d s after the order", front.ctl("rollback", "app"))
    assert front.exchange(old).status == 200


def test_a_version_that_answers_worse_is_taken_back(front: Fronted) -> None:
    old = front.worker("v7")
    for _ in range(20):
        front.exchange(old)
    new = front.worker("v8")
    front.ctl("split", "app", "v7=100%", "v8=0%")
    deploy = front.begin("deploy", "app", "--label", "v8", "--judged")
    front.server.log.wait_for("app: everything goes to v8, ")
    for _ in range(6):
        assert front.exchange(new, BAD).status == 500
    assert front.exchange(old).status == 200
    code, _, err = end(deploy)
    why = "app: v8 is worse than v7: 6 of 6 answers failed, of the last 20 of v7 0; everything goes to v7"
    assert (code, err) == (1, f"drawbar: error: {why}")
    assert f"ago: {why}\n" in front.ctl("status")
    assert front.refused("rollback", "app") == "app: nothing has been deployed that could be taken back"


def test_nobody_comes(front: Fronted) -> None:
    old = front.worker("v7")
    why = "app: no worker labelled v8 was there within 0.1 s; everything goes to v7"
    assert wait_until_refused(front, why, "deploy", "app", "--label", "v8", "--timeout", "0.1")
    assert front.exchange(old).status == 200
    # It was held for its turn, and is not any more.
    old.close()
    assert front.exchange(front.worker("v8")).status == 200


def test_one_deploy_at_a_time_and_none_while_it_lasts(front: Fronted) -> None:
    front.worker("v7")
    front.ctl("deploy", "app", "--label", "v8", "--no-wait")
    why = (
        "app: a deploy of v8 is under way: it waits for the new version's workers; "
        "wait for its end, or `drawbar ctl rollback app`"
    )
    assert front.refused("deploy", "app", "--label", "v9") == why
    assert front.refused("split", "app", "off") == why
    assert "a deploy of app is under way" in front.refused("upgrade")
    assert front.ctl("rollback", "app") == "app: v8 was taken back"
    front.ctl("split", "app", "off")


def test_a_deploy_is_judged_by_the_next_front_when_the_first_one_crashes(front: Fronted) -> None:
    old = front.worker("v7")
    for _ in range(10):
        front.exchange(old)
    front.worker("v8")
    deploy = front.begin("deploy", "app", "--label", "v8", "--judged")
    front.server.log.wait_for("app: everything goes to v8, ")
    os.kill(front.front_pid(), signal.SIGKILL)
    front.server.log.wait_for(r"front is ready")
    again = front.worker("v8")
    for _ in range(50):
        assert front.exchange(again).status == 200
    assert end(deploy)[1] == "app: kept v8: 0 of 50 answers failed, of the last 10 of v7 0"


def test_a_deploy_by_real_workers(front: Fronted, server: Servers) -> None:
    url = front.server.api
    options = ["--from", url, "--threads", "1"]
    old = server("plain:app", *options, "--label", "v7", command="work", bind=None, chdir=SITES)
    old.log.wait_for("attached to")
    first = front.client().response()
    deploy = front.begin("deploy", "app", "--label", "v8")
    front.server.log.wait_for("app: deploying v8")
    new = server("plain:app", *options, "--label", "v8", command="work", bind=None, chdir=SITES)
    new.log.wait_for("attached to")
    assert end(deploy)[0] == 0
    old.stop()
    assert (first.status, front.client().response().status) == (200, 200)


# -- versions with workers of the server's own


def test_a_version_starts_beside_the_old_one_and_takes_over(versions: Versions) -> None:
    front = versions.start()
    assert front.client().response().body == b"v7"
    assert front.ctl("deploy", "app", "--label", "v8", "--chdir", versions.write("v8")).startswith(
        "app: everything goes to v8, "
    )
    assert front.client().response().body == b"v8"
    # Both are there until the verdict: going back is no start.
    assert front.titles() == ["drawbar: app v8 worker 1", "drawbar: app worker 1", "drawbar: front"]
    for _ in range(50):
        assert front.client().response().body == b"v8"
    front.server.log.wait_for("app: kept v8: 0 of 50 answers failed")
    front.server.log.wait_for("app: workers without a label have ended")
    assert front.titles() == ["drawbar: app v8 worker 1", "drawbar: front"]
    assert re.search(r"the configuration must say: \[apps.app\] label = \"v8\", chdir = ", front.server.log.text)
    assert front.ctl("rollback", "app").startswith("app: everything goes to workers without a label")
    assert front.client().response().body == b"v7"
    front.close()


def test_a_version_that_does_not_start_changes_nothing(versions: Versions) -> None:
    front = versions.start()
    broken = versions.write("v8", at_start="raise RuntimeError('half written')")
    why = front.refused("deploy", "app", "--label", "v8", "--chdir", broken)
    assert "app: v8 does not start: " in why
    assert why.endswith("half written (site_of_test.py, line 3); everything goes to workers without a label")
    assert front.client().response().body == b"v7"
    assert front.titles() == ["drawbar: app worker 1", "drawbar: front"]
    # The label is free again.
    assert front.ctl("deploy", "app", "--label", "v8", "--chdir", versions.write("v8"), "--no-judge")
    assert front.client().response().body == b"v8"
    front.close()


def test_a_version_of_ones_own_that_is_worse_is_stopped(versions: Versions) -> None:
    front = versions.start()
    bad = versions.write("v8", status="500 Internal Server Error")
    deploy = front.begin("deploy", "app", "--label", "v8", "--chdir", bad, "--judged")
    front.server.log.wait_for("app: everything goes to v8")
    answers = [front.client().response().status for _ in range(20)]
    assert answers == [500] * 6 + [200] * 14
    code, _, err = end(deploy)
    assert (code, "app: v8 is worse than workers without a label: 6 of 6 answers failed" in err) == (1, True)
    front.server.log.wait_for("app: workers of v8 have ended")
    assert front.titles() == ["drawbar: app worker 1", "drawbar: front"]
    front.close()


@pytest.mark.parametrize("order", ["reload", "upgrade", "crash"])
def test_what_was_deployed_outlives_a_reload_an_upgrade_and_a_crash(versions: Versions, order: str) -> None:
    front = versions.start("--log-level", "debug")
    front.ctl("deploy", "app", "--label", "v8", "--chdir", versions.write("v8"), "--no-judge")
    if order == "crash":
        pid = int(front.client(b"GET /pid HTTP/1.1\r\nHost: test\r\n\r\n").response().body)
        os.kill(pid, signal.SIGKILL)
    else:
        front.ctl(order)
    assert front.client().response().body == b"v8"
    front.close()
    front.ctl("stop")


TOML = """
[apps.blog]
target = "site_of_test:app"
chdir = "{chdir}"
label = "{label}"
threads = "1"
"""


def test_a_deployed_version_holds_until_the_file_names_another_label(versions: Versions) -> None:
    old = TOML.format(chdir=versions.folder / "v7", label="v7")
    front = versions.start(toml=old)
    front.ctl("deploy", "blog", "--label", "v8", "--chdir", versions.write("v8"), "--no-judge")
    front.ctl("reload")
    assert front.client().response().body == b"v8"
    versions.write("v9")
    (versions.folder / "drawbar.toml").write_text(TOML.format(chdir=versions.folder / "v9", label="v9"))
    front.ctl("reload")
    assert front.client().response().body == b"v9"
    assert front.titles() == ["drawbar: blog v9 worker 1", "drawbar: front"]
    front.close()


def test_nothing_else_goes_on_during_a_deploy_of_ones_own(versions: Versions, fifo: Fifo) -> None:
    front = versions.start()
    waits = versions.write("v8", at_start=f"open({str(fifo.path)!r}).close()")
    deploy = front.begin("deploy", "app", "--label", "v8", "--chdir", waits)
    front.server.log.wait_for("app: deploying v8: starting its workers")
    assert "a deploy of app is under way" in front.refused("reload")
    assert front.refused("deploy", "app", "--label", "v9").startswith("app: a deploy of v8 is under way")
    assert front.client().response().body == b"v7"
    fifo.release()
    assert end(deploy)[0] == 0
    assert front.client().response().body == b"v8"
    front.close()


def test_workers_are_not_counted_anew_during_a_deploy_of_ones_own(versions: Versions, fifo: Fifo) -> None:
    front = versions.start()
    waits = versions.write("v8", at_start=f"open({str(fifo.path)!r}).close()")
    deploy = front.begin("deploy", "app", "--label", "v8", "--chdir", waits, "--no-judge")
    front.server.log.wait_for("app: deploying v8: starting its workers")
    why = "a deploy of app is under way; wait for its end, or `drawbar ctl rollback app`"
    assert front.refused("workers", "+1") == front.refused("workers", "2", "--app", "app") == f"control socket: {why}"
    front.server.process.send_signal(signal.SIGTTIN)
    front.server.log.wait_for(re.escape(f"SIGTTIN: {why}"))
    fifo.release()
    assert end(deploy)[0] == 0
    # Whether the old version has gone by now or not: of one application nobody asks whose.
    assert front.ctl("workers", "+1") == "done"
    front.server.log.wait_for("2 app v8 workers from now on")
    front.close()


def test_a_server_that_stops_ends_a_deploy(versions: Versions, fifo: Fifo) -> None:
    front = versions.start()
    waits = versions.write("v8", at_start=f"open({str(fifo.path)!r}).close()")
    deploy = front.begin("deploy", "app", "--label", "v8", "--chdir", waits)
    front.server.log.wait_for("app: deploying v8: starting its workers")
    front.server.stop()
    code, _, err = end(deploy)
    assert (code, "app: the server is stopping" in err) == (1, True)
    front.close()


def test_what_cannot_be_started_is_refused(front: Fronted, versions: Versions) -> None:
    why = "app has no workers here: --target or --command says what to start"
    assert front.refused("deploy", "app", "--label", "v8", "--workers", "2") == why
    chdir = versions.write("v8")
    deployed = front.ctl("deploy", "app", "--label", "v8", "--target", "site_of_test:app", "--chdir", chdir)
    assert deployed.startswith("app: everything goes to v8")
    assert front.client().response().body == b"v8"
    again = front.refused("deploy", "app", "--label", "v8")
    assert again == "app: there are workers of v8 already; take another label"


def test_a_program_in_the_place_of_an_application(versions: Versions) -> None:
    front = versions.start()
    chdir = versions.write("v8")
    work = "-m drawbar work site_of_test:app --from {from} --app {app} --label {label} --threads 1 --chdir"
    command = f"{sys.executable} {work} {chdir}"
    assert front.ctl("deploy", "app", "--label", "v8", "--command", command).startswith("app: everything goes to v8")
    for _ in range(50):
        assert front.client().response().body == b"v8"
    front.server.log.wait_for("app: workers without a label have ended")
    assert front.ctl("rollback", "app").startswith("app: everything goes to workers without a label")
    assert front.client().response().body == b"v7"
    front.close()


def test_a_deploy_in_a_pause_is_judged_after_it(versions: Versions) -> None:
    front = versions.start()
    front.ctl("pause", "app")
    waiting = front.client()
    deploy = front.begin("deploy", "app", "--label", "v8", "--chdir", versions.write("v8"), "--judged")
    front.server.log.wait_for("app: everything goes to v8, ")
    assert has_nothing(waiting)
    front.ctl("resume", "app")
    # It was asked of the old version, and nobody had begun it.
    assert waiting.response().body == b"v8"
    for _ in range(49):
        front.client().response()
    assert end(deploy)[1] == "app: kept v8: 0 of 50 answers failed"
    front.close()
