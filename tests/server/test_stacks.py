"""Where workers are, asked of a whole server: one of them, one that never came to serve, and what is counted."""

import re
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES
from tests.server.test_control import Controlled
from tests.support.desk import UnixConnection, ask
from tests.support.server import Servers

HANGS_AT_IMPORT = """
import threading

def waits_for_its_database():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

waits_for_its_database()
"""


def test_one_worker_writes_its_stacks_and_the_operator_hears_where(server: Servers, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path, "--workers", "2", "--threads", "1:2")
    first, second = (worker["pid"] for worker in controlled.status()["workers"])
    done = controlled.ctl("stacks", str(second))
    assert (done.stdout, done.stderr) == (f"worker 2 (pid {second}) writes its stacks to standard error\n", "")
    controlled.server.log.wait_for(rf"\[{second}\] error: end of the stacks")
    answer = controlled.ask("GET", f"/stacks?pid={first}").json
    assert answer == {"asked": [{"slot": 1, "pid": first}], "log": "standard error"}
    controlled.server.log.wait_for(rf"\[{first}\] error: end of the stacks")
    assert len(re.findall("end of the stacks", controlled.server.log.text)) == 2


def test_a_worker_without_another_thread_says_so(server: Servers, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path, "--threads", "1")
    assert controlled.ctl("stacks").returncode == 0
    controlled.server.log.wait_for("stacks of no thread but the one that writes this$")
    controlled.server.log.wait_for("end of the stacks")


def test_a_worker_of_tasks_that_has_nothing_to_do_says_so(server: Servers, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path, "--interface", "asgi", target="lasting:app")
    assert controlled.ctl("stacks").returncode == 0
    log = controlled.server.log
    log.wait_for("end of the stacks")
    log.wait_for("control socket: the stacks of 1 worker follow")
    log.wait_for(r"stacks of (\d+ threads? and )?\d+ tasks?$")
    for name in ("server", "stop signal"):
        log.wait_for(f"error: task {name}:$")
    assert "serve_asgi.py" not in log.text
    assert "(in the server's own code)" in log.text


@pytest.mark.parametrize("name", ["error.log", "off"])
def test_the_log_is_named_and_one_that_is_off_takes_none(server: Servers, tmp_path: Path, name: str) -> None:
    control = str(tmp_path / "control.sock")
    log = name if name == "off" else str(tmp_path / name)
    site = server("logged:app", "--control-socket", control, "--error-log", log, chdir=SITES, ready=False)
    site.log.wait_for("loaded")
    answer = ask(UnixConnection(control), "GET", "/stacks")
    if name == "off":
        assert (answer.status, answer.json["detail"]) == (409, "stacks go to the error log, and that is off")
    else:
        assert answer.json["log"] == log


def test_a_process_that_is_no_worker_is_refused(server: Servers, tmp_path: Path) -> None:
    controlled = Controlled(server, tmp_path)
    (worker,) = controlled.status()["workers"]
    master = controlled.server.process.pid
    done = controlled.ctl("stacks", str(master))
    assert done.returncode != 0
    assert f"no worker has that process id; there are {worker['pid']}" in done.stderr
    assert controlled.ask("GET", f"/stacks?pid={master}").status == 404
    assert "stacks of" not in controlled.server.log.text


def test_a_worker_that_hangs_while_it_starts_shows_where(server: Servers, tmp_path: Path) -> None:
    (tmp_path / "hangs_at_import.py").write_text(HANGS_AT_IMPORT)
    site = server("hangs_at_import:app", "--boot-timeout", "1", chdir=tmp_path, ready=False)
    # As the interpreter's own fault handler writes it: nothing of the server's is there yet.
    site.log.wait_for(r'^  File ".*hangs_at_import.py", line \d+ in waits_for_its_database')
    site.log.wait_for("error: it did not start within 1 s")
    assert site.wait() == 2


def test_requests_that_timed_out_and_the_worker_replaced_for_them_are_counted(
    server: Servers, connect: Connect, tmp_path: Path
) -> None:
    controlled = Controlled(server, tmp_path, "--threads", "1:2", "--request-timeout", "1", target="hanging:app")
    client = connect(controlled.server)
    assert client.request(b"GET /lock HTTP/1.1\r\nHost: test\r\n\r\n").status == 504
    # Only a worker that is gone has been replaced.
    controlled.server.log.wait_for("worker 1 is ready")
    counted = controlled.metrics()
    assert counted["drawbar_request_timeouts_total"] == 1
    assert counted['drawbar_requests_total{status="5xx"}'] == 1
