"""What the master does when it is told to by signals: reload, resize, halt, reopen, upgrade, over real processes."""

import json
import os
import random
import re
import signal
import socket
from pathlib import Path
from typing import Any

from drawbar.supervisor.worker.stacks import STACKS_SIGNAL
from tests.supervisor.harness import PATIENCE_S, Serving, ends

HUP, USR1, USR2 = signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2
TTIN, TTOU, WINCH, PWR = signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH, signal.SIGPWR


def test_a_reload_starts_each_replacement_before_it_stops_a_worker() -> None:
    with Serving("serve", server={"workers": 2}, log={"level": "debug"}) as serving:
        for _ in range(2):
            serving.event("ready")
        # The master knows it of both: one that still starts would be stopped at once.
        serving.logged("serving")
        serving.logged(r"worker \d is ready")
        serving.signal(HUP)
        for _ in range(2):
            assert serving.next_event() == "ready"
            assert serving.next_event() == "stopping"
        serving.logged("reloaded: 2 workers of generation 2")
        assert serving.stop() == 0


def test_a_reload_by_stop_first_stops_each_worker_before_its_replacement_starts() -> None:
    options: dict[str, Any] = {"lifecycle": {"reload_strategy": "stop-first"}, "log": {"level": "debug"}}
    with Serving("serve", server={"workers": 2}, **options) as serving:
        former = {serving.event("ready")[1] for _ in range(2)}
        serving.logged("serving")
        serving.logged(r"worker \d is ready")
        serving.signal(HUP)
        for _ in range(2):
            assert serving.event("stopping")[1] in former
            assert serving.event("ready")[1] not in former
        assert serving.stop() == 0


def test_a_reload_takes_the_number_of_workers_from_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"server": {"workers": 3, "bind": ["127.0.0.1:0"]}}))
    with Serving("serve", reread=str(file)) as serving:
        serving.logged("serving")
        serving.signal(HUP)
        serving.logged("reloaded: 3 workers of generation 2")
        assert serving.stop() == 0


def test_a_wrong_configuration_changes_nothing_and_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text("wrong")
    with Serving("serve", reread=str(file)) as serving:
        _, worker = serving.event("ready")
        serving.logged("serving")
        serving.signal(HUP)
        line = serving.logged("not reloaded")
        assert line.endswith("SIGHUP: not reloaded, nothing has changed: drawbar.toml: server.wrong: no such key")
        assert serving.stop() == 0
        assert serving.event("stopping")[1] == worker


def test_an_address_in_use_refuses_the_reload(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    with Serving("serve") as other:
        port = other.port()
        file.write_text(json.dumps({"server": {"bind": ["127.0.0.1:0", f"127.0.0.1:{port}"]}}))
        with Serving("serve", reread=str(file)) as serving:
            serving.logged("serving")
            serving.signal(HUP)
            assert "the address is in use" in serving.logged("not reloaded")
            assert serving.stop() == 0


def test_a_reload_for_more_workers_than_there_is_room_for_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"server": {"workers": 100}}))
    with Serving("serve", reread=str(file)) as serving:
        serving.logged("serving")
        serving.signal(HUP)
        assert "server.workers: 100 workers are more than this server was started" in serving.logged("not reloaded")
        assert serving.stop() == 0


def test_a_pid_file_that_cannot_be_had_leaves_the_listeners_as_they_are(tmp_path: Path) -> None:
    path, file = tmp_path / "s", tmp_path / "options.json"
    file.write_text(json.dumps({"server": {"bind": [f"unix:{path}"]}, "process": {"pid_file": "/nowhere/at/all"}}))
    with Serving("serve", reread=str(file)) as serving:
        serving.logged("serving")
        serving.signal(HUP)
        assert "--pid-file /nowhere/at/all: cannot be written" in serving.logged("not reloaded")
        assert not path.exists()
        assert serving.stop() == 0


def test_an_address_in_use_leaves_the_pid_file_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    with Serving("serve") as other:
        bind = ["127.0.0.1:0", f"127.0.0.1:{other.port()}"]
        file.write_text(json.dumps({"server": {"bind": bind}, "process": {"pid_file": str(tmp_path / "new")}}))
        with Serving("serve", reread=str(file), process={"pid_file": str(tmp_path / "old")}) as serving:
            serving.logged("serving")
            serving.signal(HUP)
            assert "the address is in use" in serving.logged("not reloaded")
            assert not (tmp_path / "new").exists()
            assert int((tmp_path / "old").read_text()) == serving.process.pid
            assert serving.stop() == 0


def test_a_working_directory_that_is_gone_ends_no_master(tmp_path: Path) -> None:
    place = tmp_path / "release"
    place.mkdir()
    with Serving("serve", cwd=place, process={"pid_file": "pid"}) as serving:
        _, worker = serving.event("ready")
        serving.logged("serving")
        (place / "pid").unlink()
        place.rmdir()
        serving.signal(HUP)
        serving.logged("SIGHUP: not reloaded, nothing has changed: .*No such file or directory")
        assert serving.stop() == 0
        assert serving.event("stopping")[1] == worker


def test_what_is_gone_back_to_is_what_has_served(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    with Serving("by_target", reread=str(file), app={"target": "good:app"}) as serving:
        _, worker = serving.event("ready")
        serving.logged("serving")
        for target, told in (("hangs:app", "hanging"), ("bad:app", "failing")):
            file.write_text(json.dumps({"app": {"target": target}}))
            serving.signal(HUP)
            serving.event(told)
        serving.logged("the former worker serves on")
        os.kill(worker, signal.SIGKILL)
        assert serving.event("ready")[1] != worker
        assert serving.stop() == 0


def test_workers_that_do_not_start_leave_the_former_ones(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("right = 1\n")
    with Serving("source", cwd=tmp_path, server={"workers": 2}, log={"level": "debug"}) as serving:
        former = {serving.event("ready")[1] for _ in range(2)}
        serving.logged("serving")
        serving.logged(r"worker \d is ready")
        (tmp_path / "app.py").write_text("not right(\n")
        serving.signal(HUP)
        assert "the former worker serves on" in serving.logged("could not start: SyntaxError")
        (tmp_path / "app.py").write_text("right = 2\n")
        serving.signal(HUP)
        serving.logged("reloaded: 2 workers of generation 3")
        assert {serving.event("stopping")[1] for _ in range(2)} == former
        assert serving.stop() == 0


def test_workers_that_do_not_start_cost_none_of_those_that_were_to_go(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    options: dict[str, Any] = {"app": {"target": "good:app"}, "server": {"workers": 2}, "log": {"level": "debug"}}
    with Serving("by_target", reread=str(file), **options) as serving:
        former = {serving.event("ready")[1] for _ in range(2)}
        serving.logged("serving")
        serving.signal(TTIN)
        former.add(serving.event("ready")[1])
        for _ in range(2):
            serving.logged(r"worker \d is ready")
        file.write_text(json.dumps({"app": {"target": "bad:app"}, "server": {"workers": 1}}))
        serving.signal(HUP)
        assert serving.next_event() == "failing"
        serving.logged("the former worker serves on")
        # All is as it was, so that a worker in any of the three slots is replaced.
        os.kill(max(former), signal.SIGKILL)
        assert serving.event("ready")[1] not in former
        serving.logged(r"worker \d is ready")
        serving.signal(signal.SIGTERM)
        assert {serving.event("stopping")[1] for _ in range(3)} >= former - {max(former)}
        assert serving.wait() == 0


def test_a_reload_for_fewer_workers_lets_the_others_go_when_it_serves(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"server": {"workers": 1}}))
    options: dict[str, Any] = {"server": {"workers": 3}, "log": {"level": "debug"}}
    with Serving("serve", reread=str(file), **options) as serving:
        former = {serving.event("ready")[1] for _ in range(3)}
        serving.logged("serving")
        for _ in range(2):
            serving.logged(r"worker \d is ready")
        serving.signal(HUP)
        assert serving.next_event() == "ready"
        assert {serving.event("stopping")[1] for _ in range(3)} == former
        serving.logged("reloaded: 1 worker of")
        assert serving.stop() == 0


def test_workers_that_do_not_start_take_log_and_pid_file_back(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("right = 1\n")
    first, second, file = tmp_path / "first.pid", tmp_path / "second.pid", tmp_path / "options.json"
    file.write_text(json.dumps({"log": {"level": "debug"}, "process": {"pid_file": str(second)}}))
    with Serving("source", cwd=tmp_path, reread=str(file), process={"pid_file": str(first)}) as serving:
        _, worker = serving.event("ready")
        serving.logged("serving")
        (tmp_path / "app.py").write_text("not right(\n")
        serving.signal(HUP)
        serving.logged("debug: worker 1 started")
        serving.logged("the former worker serves on")
        # What it has said by now is of the time before.
        serving.signal(PWR)
        serving.logged("SIGPWR: the stacks of 1 worker follow")
        assert int(first.read_text()) == serving.process.pid
        assert not second.exists()
        said = len(serving.log.seen)
        assert serving.stop() == 0
        assert serving.event("stopping")[1] == worker
        assert not any("debug" in line for line in serving.log.rest()[said:])


def test_one_more_and_one_less_survive_a_reload() -> None:
    with Serving("serve") as serving:
        serving.logged("serving")
        serving.signal(TTIN)
        serving.logged("SIGTTIN: 2 workers from now on")
        serving.logged("worker 2 is ready")
        serving.signal(HUP)
        serving.logged("reloaded: 2 workers of generation 2")
        serving.signal(TTOU)
        serving.logged("SIGTTOU: 1 worker from now on")
        serving.signal(TTOU)
        serving.logged("SIGTTOU: one worker is the least")
        assert serving.stop() == 0


def test_a_worker_that_stays_after_all_gets_connections_again() -> None:
    with Serving("accepts", server={"workers": 2}, listen={"reuseport": True}) as serving:
        for _ in range(2):
            serving.event("ready")
        port = serving.port()
        serving.signal(TTOU)
        serving.logged("1 worker from now on")
        serving.signal(TTIN)
        serving.logged("2 workers from now on")
        # Each goes to either by lot.
        for _ in range(200):
            socket.create_connection(("127.0.0.1", port), PATIENCE_S).close()
        serving.event("accepted 2")
        assert serving.stop() == 0


def test_workers_halt_and_come_back() -> None:
    with Serving("serve", server={"workers": 2}) as serving:
        former = {serving.event("ready")[1] for _ in range(2)}
        serving.logged("serving")
        serving.signal(WINCH)
        assert {serving.event("stopping")[1] for _ in range(2)} == former
        serving.signal(HUP)
        assert {serving.event("ready")[1] for _ in range(2)} & former == set()
        assert serving.stop() == 0


def test_a_worker_that_has_served_enough_is_replaced_first(tmp_path: Path) -> None:
    with Serving("retires", cwd=tmp_path, server={"workers": 2}, timing={"least_service_s": 0.0}) as serving:
        serving.logged("serving")
        retired = {re.findall(r"pid (\d+)", serving.logged("is replaced: it has served"))[0] for _ in range(2)}
        # Each is stopped when its replacement has come, and the next replacement comes when it has gone. One of the two
        # may be replaced before the other has started.
        events = [serving.next_event() for _ in range(6)]
        assert events[3:] in (["stopping", "ready", "stopping"], ["ready", "ready", "stopping"])
        assert events[:3] == ["ready", "ready", "ready" if events[3] == "stopping" else "stopping"]
        assert len(retired) == 2
        assert serving.stop() == 0


def test_a_worker_is_told_to_reopen_and_to_write_its_stacks() -> None:
    with Serving("signalled") as serving:
        serving.logged("serving")
        serving.signal(USR1)
        assert serving.event("got")[0] == [str(int(USR1))]
        serving.signal(PWR)
        assert serving.event("got")[0] == [str(int(STACKS_SIGNAL))]
        assert serving.stop() == 0


def heard(serving: Serving, number: signal.Signals) -> list[str]:
    """What workers hear from then on until one of them stops."""
    serving.signal(number)
    events: list[str] = []
    while not events or events[-1] != "stopping":
        words = serving.events.until(lambda line: not line.startswith("ready")).split()
        events.append(words[1] if words[0] == "got" else words[0])
    return events


def test_a_worker_that_others_relieve_leaves_them_what_waits_to_be_accepted() -> None:
    with Serving("signalled", server={"workers": 2}) as serving:
        for _ in range(2):
            serving.event("ready")
        serving.logged("serving")
        assert heard(serving, TTOU) == [str(int(TTOU)), "stopping"]
        assert heard(serving, HUP) == [str(int(TTOU)), "stopping"]
        serving.logged("reloaded")
        assert heard(serving, signal.SIGTERM) == ["stopping"]
        assert serving.wait() == 0


def test_a_worker_with_a_socket_of_its_own_takes_what_waits_when_its_slot_goes() -> None:
    with Serving("signalled", server={"workers": 2}, listen={"reuseport": True}) as serving:
        for _ in range(2):
            serving.event("ready")
        serving.logged("serving")
        assert heard(serving, TTOU) == ["stopping"]
        assert heard(serving, HUP) == [str(int(TTOU)), "stopping"]


def test_workers_that_halt_take_what_waits() -> None:
    with Serving("signalled", server={"workers": 2}) as serving:
        for _ in range(2):
            serving.event("ready")
        serving.logged("serving")
        assert heard(serving, WINCH) == ["stopping"]
        assert serving.event("stopping")[0] == ["SIGTERM"]


def test_a_socket_that_a_reload_drops_is_emptied(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    with Serving("signalled", reread=str(file)) as serving:
        serving.event("ready")
        serving.logged("serving")
        file.write_text(json.dumps({"server": {"bind": ["127.0.0.1:0", f"unix:{tmp_path}/a"]}}))
        assert heard(serving, HUP) == [str(int(TTOU)), "stopping"]
        serving.logged("reloaded")
        file.write_text(json.dumps({"server": {"bind": ["127.0.0.1:0"]}}))
        assert heard(serving, HUP) == ["stopping"]


def test_reopens_its_own_log(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    with Serving("signalled", log={"error": str(log)}) as serving:
        serving.event("ready")
        former = log.rename(tmp_path / "error.log.1")
        serving.signal(USR1)
        # Its workers are told after its own log has changed.
        serving.event("got")
        assert serving.stop() == 0
    assert "SIGUSR1: logs reopened" in log.read_text()
    assert "SIGTERM: stopping" in log.read_text()
    assert "SIG" not in former.read_text()


def test_a_log_that_cannot_be_reopened_is_kept(tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    with Serving("serve", log={"error": str(directory / "error.log")}) as serving:
        serving.event("ready")
        directory.rename(tmp_path / "moved")
        serving.signal(USR1)
        assert serving.stop() == 0
    assert "stopped by SIGTERM" in (tmp_path / "moved" / "error.log").read_text()


def test_a_start_that_hangs_is_asked_where_and_ended() -> None:
    with Serving("hangs_at_the_start", timing={"boot_s": 0.05, "give_up_after": 1}) as serving:
        serving.event("hanging")
        serving.event("asked")
        assert serving.wait() == 2
        assert serving.log.rest()[-1] == "drawbar: it did not start within 0.05 s"


def test_quick_stops_are_quick() -> None:
    with Serving("deaf", graceful=3600.0, timing={"hurry_s": 0.05}) as serving:
        serving.event("ready")
        serving.signal(signal.SIGINT)
        assert "did not stop within 0.05 s: killed" in serving.logged("did not stop")
        assert serving.wait() == 0


def test_serves_on_for_the_drain_delay_and_a_second_request_ends_it() -> None:
    with Serving("serve", timing={"drain_delay_s": 3600.0}) as serving:
        serving.event("ready")
        serving.signal(signal.SIGTERM)
        serving.logged("SIGTERM: stopping in 3600 s")
        serving.signal(signal.SIGTERM)
        serving.event("stopping")
        assert serving.wait() == 0


def test_a_storm_of_signals_leaves_a_server_that_serves() -> None:
    harmless = [HUP, USR1, TTIN, TTOU, PWR, signal.SIGCHLD]
    with Serving("serve", server={"workers": 2}) as serving:
        serving.logged("serving")
        dice = random.Random(7)
        for _ in range(1000):
            serving.signal(dice.choice(harmless))
        serving.signal(HUP)
        serving.logged("reloaded")
        assert serving.stop() == 0


# Upgrades.


def successor(serving: Serving) -> int:
    """The new master's process id, as soon as it is named."""
    found = re.search(r"new master is pid (\d+)", serving.logged("upgrading"))
    assert found is not None
    return int(found[1])


def test_an_upgrade_replaces_the_master_when_the_new_one_serves() -> None:
    with Serving("serve", server={"workers": 2}) as serving:
        former = {serving.event("ready")[1] for _ in range(2)}
        port = serving.port()
        serving.signal(USR2)
        pid = successor(serving)
        descriptor = os.pidfd_open(pid)
        assert f"on http://127.0.0.1:{port}, 2 workers" in serving.logged(f"serving .* \\(pid {pid}\\)")
        assert {serving.event("ready")[1] for _ in range(2)} & former == set()
        assert {serving.event("stopping")[1] for _ in range(2)} == former
        assert serving.wait() == 0
        serving.logged("the former master has left")
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        serving.logged(r"stopped by SIGTERM")
        os.close(descriptor)


def test_an_upgrade_keeps_the_number_of_workers_somebody_asked_for() -> None:
    with Serving("serve") as serving:
        serving.logged("serving")
        serving.signal(TTIN)
        serving.logged("worker 2 is ready")
        serving.signal(USR2)
        pid = successor(serving)
        assert ", 2 workers" in serving.logged(f"serving .* \\(pid {pid}\\)")
        assert serving.wait() == 0
        os.kill(pid, signal.SIGTERM)
        serving.logged("stopped by SIGTERM")


def test_an_upgrade_that_does_not_start_is_told_and_the_former_master_serves_on(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("right = 1\n")
    pid_file = tmp_path / "pid"
    with Serving("source", cwd=tmp_path, process={"pid_file": str(pid_file)}) as serving:
        _, worker = serving.event("ready")
        serving.logged("serving")
        (tmp_path / "app.py").write_text("not right(\n")
        serving.signal(USR2)
        pid = successor(serving)
        line = serving.logged("not upgraded")
        assert f"the new master (pid {pid}) exited with code 2: not upgraded, this one serves on" in line
        assert int(pid_file.read_text()) == serving.process.pid
        assert serving.stop() == 0
        assert serving.event("stopping")[1] == worker


def test_a_stop_during_an_upgrade_stops_the_new_master_too(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("right = 1\n")
    with Serving("source", cwd=tmp_path) as serving:
        serving.event("ready")
        serving.logged("serving")
        (tmp_path / "app.py").unlink()
        # Whoever reads the application now waits for good.
        os.mkfifo(tmp_path / "app.py")
        serving.signal(USR2)
        descriptor = os.pidfd_open(successor(serving))
        assert serving.stop() == 0
        assert ends(descriptor)


def test_a_manual_upgrade_leaves_both_until_one_is_told_to_quit(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    process = {"pid_file": str(pid_file)}
    with Serving("serve", lifecycle={"upgrade": "manual"}, process=process) as serving:
        _, former = serving.event("ready")
        serving.logged("serving")
        serving.signal(USR2)
        pid = successor(serving)
        serving.logged("serves too")
        assert int(pid_file.read_text()) == pid
        assert int((tmp_path / "pid.oldbin").read_text()) == serving.process.pid
        serving.signal(WINCH)
        assert serving.event("stopping")[1] == former
        # Back again: the former master's worker, and the new master goes.
        serving.signal(HUP)
        serving.event("ready")
        serving.logged("reloaded")
        os.kill(pid, signal.SIGQUIT)
        serving.logged("not upgraded, this one serves on")
        assert int(pid_file.read_text()) == serving.process.pid
        assert serving.stop() == 0
