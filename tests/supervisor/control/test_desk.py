"""The desk in a real master: when a control process comes, what it carries, when it goes."""

import http.client
import os
import resource
import signal
import socket
import stat
import threading
from pathlib import Path

import pytest

from drawbar.config import Config, ControlConfig, ListenConfig, OperatorError, TcpBind
from drawbar.supervisor.control.desk import Command, Desk
from drawbar.supervisor.control.process import THREADS, WAITERS
from drawbar.supervisor.logs import Log
from tests.supervisor.harness import PATIENCE_S
from tests.support.desk import Answer, Desked, ask
from tests.support.desk_master import MANY_STACKS, STACKS, Poll


def test_without_a_connection_there_is_no_control_process(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        assert master.children() == []
        assert master.ask("GET", "/livez").status == 200
        (child,) = master.children()
        assert Path(f"/proc/{child}/comm").read_text() == "drawbar-control\n"


def test_connections_share_one_control_process(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        first, second = master.connection(), master.connection()
        for connection in (first, second):
            connection.request("GET", "/livez")
            assert connection.getresponse().read() == b"ok\n"
        assert len(master.children()) == 1
        first.close()
        second.close()


def test_a_control_process_without_visitors_ends_and_the_next_one_is_served_by_another(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}, idle_s=0.05) as master:
        assert master.ask("GET", "/livez").status == 200
        master.events.wait_for("^buried ")
        assert master.children() == []
        assert "warning" not in master.log.text
        assert master.ask("GET", "/livez").status == 200


def test_an_open_connection_keeps_it(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}, idle_s=0.05) as master:
        kept = master.connection()
        kept.connect()
        # A second one comes, is answered and goes; had idleness ended the process, it would have been buried by now.
        for _ in range(20):
            assert master.ask("GET", "/livez").status == 200
        kept.request("GET", "/livez")
        assert kept.getresponse().read() == b"ok\n"
        kept.close()


def test_a_control_process_that_is_killed_is_replaced_by_the_next_connection(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        assert master.ask("GET", "/livez").status == 200
        (child,) = master.children()
        os.kill(child, signal.SIGKILL)
        master.log.wait_for(rf"warning: the control process \(pid {child}\) killed by SIGKILL$")
        assert master.ask("GET", "/livez").status == 200
        assert master.children() != [child]


def test_one_that_cannot_start_turns_its_visitors_away_and_the_master_stays(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}, broken=True) as master:
        for number in (1, 2):
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                master.ask("GET", "/livez")
            master.events.wait_for_many("^buried ", number)
        right = f"; if Drawbar was replaced, kill -USR2 {master.pid} upgrades this server$"
        master.log.wait_for_many(f"error: the control process could not start: ModuleNotFoundError.*{right}", 2)
        assert "warning" not in master.log.text


def test_the_control_process_ends_with_its_master_and_the_socket_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with Desked(control={"socket": str(path)}) as master:
        assert master.ask("GET", "/livez").status == 200
        (child,) = master.children()
        assert master.end(signal.SIGTERM) == 0
        assert not Path(f"/proc/{child}").exists()
        assert not path.exists()


def test_a_command_is_answered_before_the_master_ends(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        assert master.ask("POST", "/stop").json == {"message": "stop is done"}
        assert master.process.wait(20) == 0


def test_a_command_that_is_answered_late_holds_up_nobody(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        answers: list[Answer] = []
        waits = [
            threading.Thread(target=lambda: answers.append(master.ask("POST", "/reload", {"wait": True})))
            for _ in range(WAITERS)
        ]
        for wait in waits:
            wait.start()
        master.events.wait_for_many('command reload {"wait": true}', WAITERS)
        for verb in ("/reload", "/restart"):
            for _ in range(THREADS):
                refused = master.ask("POST", verb, {"wait": True})
                assert refused.status == 503
                assert refused.json["detail"].startswith(f"{WAITERS} commands are waited for already")
        for path in ("/status", "/metrics", "/livez"):
            assert master.ask("GET", path).status == 200
        assert master.ask("POST", "/reload").status == 202
        assert answers == []
        assert master.ask("POST", "/resume").status == 200
        for wait in waits:
            wait.join()
        assert [answer.json for answer in answers] == [{"message": "reloaded at last"}] * WAITERS
        again = threading.Thread(target=master.ask, args=("POST", "/reload", {"wait": True}))
        again.start()
        master.events.wait_for_many('command reload {"wait": true}', WAITERS + 1)
        assert master.ask("POST", "/resume").status == 200
        again.join()


def test_an_answer_of_any_length_arrives(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        (worker,) = master.ask("GET", "/stacks").json["workers"]
        assert worker["text"] == STACKS * MANY_STACKS


def test_a_master_that_is_stuck_is_not_alive(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        assert master.ask("GET", "/livez").status == 200
        os.kill(master.pid, signal.SIGSTOP)
        try:
            answers: dict[str, Answer] = {}
            targets = ("/livez", "/readyz", "/status", "/metrics")
            asking = [
                threading.Thread(target=lambda target=target: answers.update({target: master.ask("GET", target)}))
                for target in targets
            ]
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join()
        finally:
            os.kill(master.pid, signal.SIGCONT)
        assert {target: answer.status for target, answer in answers.items()} == {
            "/livez": 503,
            "/readyz": 503,
            "/status": 503,
            "/metrics": 200,
        }
        assert answers["/livez"].json["detail"] == "the master did not answer within 2 s"
        assert "drawbar_master_answers 0\n" in answers["/metrics"].text
        assert "drawbar_connections 0\n" in answers["/metrics"].text
        assert master.ask("GET", "/livez").status == 200


def test_auto_is_a_socket_in_the_runtime_directory_for_its_owner_alone(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    directory = tmp_path / "drawbar"
    stale = directory / "4194303.sock"
    directory.mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(stale))
    with Desked(env=env) as master:
        assert master.path == str(directory / f"{master.pid}.sock")
        assert stat.S_IMODE(os.stat(master.path).st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert not stale.exists()
        assert master.ask("GET", "/livez").status == 200
    assert list(directory.iterdir()) == []


def test_without_a_safe_directory_auto_is_no_socket_and_a_warning(tmp_path: Path) -> None:
    runtime = tmp_path / ("long" * 40)
    runtime.mkdir()
    env = {**os.environ, "XDG_RUNTIME_DIR": str(runtime)}
    with Desked(env=env) as master:
        assert master.path == ""
        (line,) = [line for line in master.log.lines if "warning" in line]
        assert "no control socket: " in line


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("missing/c.sock", "its directory is missing"),
        ("file", "the file exists and is no socket"),
        ("l" * 120, "long"),
    ],
)
def test_a_socket_that_was_asked_for_and_cannot_be_had_is_the_operators_mistake(
    tmp_path: Path, path: str, why: str
) -> None:
    (tmp_path / "file").touch()
    master = Desked(control={"socket": str(tmp_path / path)})
    assert master.end(signal.SIGCONT) == 2
    (line,) = master.log.lines
    assert line.startswith("drawbar: error: --control-socket ")
    assert why in line


def test_a_socket_another_server_listens_on_is_left_to_it(tmp_path: Path) -> None:
    control = {"socket": str(tmp_path / "c.sock")}
    with Desked(control=control) as first:
        second = Desked(control=control)
        assert second.end(signal.SIGCONT) == 2
        assert "a running server listens on it" in second.log.text
        assert first.ask("GET", "/livez").status == 200


def test_off_is_no_socket(tmp_path: Path) -> None:
    with Desked(env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, control={"socket": "off"}) as master:
        assert master.path == ""
        assert list(tmp_path.iterdir()) == []


def test_metrics_addresses_answer_metrics_and_probes_alone(tmp_path: Path) -> None:
    control = {"socket": str(tmp_path / "c.sock"), "metrics_bind": ["127.0.0.1:0"]}
    with Desked(control=control) as master:
        for target in ("/metrics", "/livez", "/readyz"):
            assert master.ask_metrics("GET", target).status == 200
        for target in ("/status", "/config", "/stacks", "/"):
            answer = master.ask_metrics("GET", target)
            assert answer.status == 404
            assert answer.json["paths"] == ["/livez", "/metrics", "/readyz"]
        assert master.ask_metrics("POST", "/stop").status == 404
        assert master.ask_metrics("POST", "/metrics").status == 405
        assert "command stop" not in master.events.text


def test_metrics_address_in_use_is_the_operators_mistake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = TcpBind(*taken.getsockname())
        config = Config(control=ControlConfig(socket="off", metrics_bind=(bind,)), listen=ListenConfig(bind_tries=1))
        with pytest.raises(OperatorError, match=f"--metrics-bind {bind}: the address is in use"):
            Desk(config, Log("critical"), None, Poll())


def test_the_last_answer_before_the_doors_are_handed_on_arrives(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with Desked(control={"socket": str(path)}, lets_go=True) as master:
        assert master.ask("POST", "/pause").json == {"message": "pause is done"}
        master.events.wait_for("^buried ")
        assert "warning" not in master.log.text


# In this process: what passes between two masters.


def desk(config: Config, poll: Poll, inherited: dict[str, int] | None = None) -> Desk:
    return Desk(config, Log("critical"), None, poll, inherited=inherited)


@pytest.fixture
def shared(tmp_path: Path) -> Config:
    bind = TcpBind("127.0.0.1", 0)
    return Config(control=ControlConfig(socket=str(tmp_path / "c.sock"), metrics_bind=(bind,)))


def duplicates(given: dict[str, int]) -> dict[str, int]:
    """The same sockets under other numbers, as if in another process."""
    return {name: os.dup(descriptor) for name, descriptor in given.items()}


def test_a_successor_rests_until_it_takes_over_and_the_file_stays(shared: Config, tmp_path: Path) -> None:
    old_poll, new_poll = Poll(), Poll()
    old = desk(shared, old_poll)
    given = old.handover()
    assert len(given) == 2
    new = desk(shared, new_poll, duplicates(given))
    assert len(old_poll.watched) == 2
    assert new_poll.watched == set()
    old.let_go()
    new.take_over()
    assert old_poll.watched == set()
    assert len(new_poll.watched) == 2
    old.close()
    assert (tmp_path / "c.sock").is_socket()
    new.close()
    assert not (tmp_path / "c.sock").exists()


def test_a_successor_that_fails_takes_nothing_along(shared: Config, tmp_path: Path) -> None:
    old_poll = Poll()
    old = desk(shared, old_poll)
    new = desk(shared, Poll(), duplicates(old.handover()))
    new.close()
    assert (tmp_path / "c.sock").is_socket()
    assert len(old_poll.watched) == 2
    old.close()


def test_a_door_that_the_new_configuration_has_not_is_closed(shared: Config) -> None:
    old = desk(shared, Poll())
    given = duplicates(old.handover())
    new = desk(Config(control=ControlConfig(socket=shared.control.socket)), Poll(), given)
    (gone,) = [descriptor for name, descriptor in given.items() if name.startswith("metrics")]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(gone)
    new.close()
    old.close()


@pytest.mark.parametrize("wanted", ["other.sock", "auto", "off"])
def test_a_control_socket_that_is_to_be_elsewhere_is_not_taken_over(
    shared: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    elsewhere = str(tmp_path / wanted) if wanted.endswith("sock") else wanted
    old, poll = desk(shared, Poll()), Poll()
    new = desk(Config(control=ControlConfig(socket=elsewhere)), poll, duplicates(old.handover()))
    # It answers there at once: nobody else does.
    assert len(poll.watched) == (wanted != "off")
    assert (new.path is None) == (wanted == "off")
    old.let_go()
    old.close()
    assert not (tmp_path / "c.sock").exists(), "somebody listens there still"
    new.close()


def test_without_descriptors_visitors_are_turned_away_and_come_no_second_time(shared: Config) -> None:
    poll = Poll()
    subject = desk(shared, poll)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.settimeout(PATIENCE_S)
        visitor.connect(shared.control.socket)
        lowest = os.dup(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            poll.wait(None, last=-1)
            assert not poll.would_call()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            os.close(lowest)
        assert visitor.recv(1) == b""
    subject.close()


def test_a_socket_named_after_the_process_is_not_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    old = desk(Config(), Poll())
    assert old.handover() == {}
    assert old.path is not None
    assert Path(old.path).is_socket()
    old.close()


def test_answers_to_a_control_process_that_is_gone_are_dropped(shared: Config) -> None:
    at = desk(shared, Poll())
    at.answer(Command(1, "status", {}, 1), {})
    at.refuse(Command(1, "status", {}, 1), "no")
    at.close()


def test_no_command_reaches_a_stranger(tmp_path: Path) -> None:
    """The mode of the socket is what keeps others out, so nothing else may be connectable."""
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        assert stat.S_IMODE(os.stat(master.path).st_mode) == 0o600
        if os.geteuid() == 0:
            child = os.fork()
            if child == 0:
                try:
                    os.setuid(65534)
                    ask(master.connection(), "GET", "/status")
                except PermissionError:
                    os._exit(0)
                finally:
                    os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
