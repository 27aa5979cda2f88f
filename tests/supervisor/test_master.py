"""The master over real processes: a start, a death, a stop are events that the tests wait for."""

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.supervisor.harness import PATIENCE_S, Serving, ends

QUICK = {"backoff_first_s": 0.001, "backoff_cap_s": 0.002, "give_up_after": 3}


def test_serves_and_stops() -> None:
    with (
        Serving("answer") as serving,
        socket.create_connection(("127.0.0.1", serving.port()), PATIENCE_S) as client,
    ):
        assert client.recv(100) == b"hello"


def test_says_what_it_serves_and_when_it_stopped() -> None:
    with Serving("serve", server={"workers": 2}) as serving:
        line = serving.logged("serving")
        pid = serving.process.pid
        assert re.search(
            rf"\[{pid}\] info: drawbar \S+ serving hello:app \(wsgi\) on http://127\.0\.0\.1:\d+, "
            rf"2 workers, threads 1:8 \(pid {pid}\)$",
            line,
        )
        serving.event("ready")
        serving.event("ready")
        assert serving.stop() == 0
        _, stopping, stopped = serving.log.rest()
        assert stopping.endswith("info: SIGTERM: stopping, requests in progress have 30 s")
        assert re.search(r"info: drawbar stopped by SIGTERM after \d+\.\d s$", stopped)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stops_gracefully_by(number: signal.Signals) -> None:
    with Serving("serve") as serving:
        _, pid = serving.event("ready")
        serving.signal(number)
        assert serving.event("stopping") == (["SIGTERM"], pid)
        assert serving.wait() == 0
        assert number.name in serving.log.rest()[-1]


def test_replaces_a_killed_worker() -> None:
    with Serving("serve", timing={"backoff_first_s": 0.001}) as serving:
        _, first = serving.event("ready")
        serving.logged("serving")
        os.kill(first, signal.SIGKILL)
        _, second = serving.event("ready")
        assert second != first
        assert f"worker 1 (pid {first}) died: killed by SIGKILL; next" in serving.logged("died")
        assert f"worker 1 is ready (pid {second})" in serving.logged("ready")
        assert serving.stop() == 0


def test_a_worker_that_dies_young_is_tried_again_ever_later() -> None:
    timing = {"backoff_first_s": 0.004, "backoff_cap_s": 0.02}
    with Serving("dies_once_ready", log={"level": "error"}, timing=timing) as serving:
        pattern = r"worker 1 \(pid \d+\) died: exited with code 3; next attempt in"
        pids = {serving.event("dying")[1] for _ in range(6)}
        assert len(pids) == 6
        assert serving.logged(pattern)
        assert serving.stop() == 0


def test_gives_up_when_no_worker_ever_starts() -> None:
    with Serving("dies_before_ready", timing=QUICK) as serving:
        assert serving.wait() == 1
        *attempts, last = serving.log.rest()
        assert last.endswith("critical: giving up: 3 attempts and no worker ever started")
        assert len(attempts) == 3
        assert all("could not start: killed by SIGKILL" in line for line in attempts)


def test_an_operator_error_is_the_only_line_whatever_the_number_of_workers() -> None:
    with Serving("raises_operator_error", server={"workers": 3}, timing=QUICK) as serving:
        assert serving.wait() == 2
        assert serving.log.rest() == ["drawbar: TARGET: cannot import 'nothing'; write module:app"]


def test_an_exception_at_the_start_is_told_in_one_line() -> None:
    with Serving("raises_exception") as serving:
        assert serving.wait() == 2
        assert serving.log.rest() == [
            "drawbar: ZeroDivisionError: division by zero (--log-level debug shows the traceback)"
        ]


def test_debug_shows_the_traceback_of_a_failed_start() -> None:
    with Serving("raises_exception", log={"level": "debug"}) as serving:
        assert serving.wait() == 2
        lines = serving.log.rest()
        assert any("Traceback (most recent call last)" in line for line in lines)
        assert lines[-1] == "drawbar: ZeroDivisionError: division by zero"


def test_an_application_that_exits_at_the_start_is_an_error() -> None:
    with Serving("calls_exit") as serving:
        assert serving.wait() == 2
        assert serving.log.rest()[-1].startswith("drawbar: SystemExit: 7")


def test_a_failed_start_stands_in_the_log_file_too(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    with Serving("raises_operator_error", log={"error": str(log)}) as serving:
        assert serving.wait() == 2
        assert serving.log.rest() == ["drawbar: TARGET: cannot import 'nothing'; write module:app"]
        assert log.read_text().endswith("error: TARGET: cannot import 'nothing'; write module:app\n")


def test_a_worker_that_breaks_at_work_leaves_a_traceback() -> None:
    with Serving("breaks_at_work", timing={"backoff_first_s": 20.0}) as serving:
        assert serving.logged("the worker broke down: RuntimeError: broken at work")
        assert serving.logged("Traceback")
        assert serving.logged(r"died: exited with code 1; next attempt in 20\.0 s")
        assert serving.stop() == 0


def test_kills_the_worker_that_does_not_stop_and_names_it() -> None:
    with Serving("deaf", graceful=0.05) as serving:
        _, pid = serving.event("ready")
        assert serving.stop() == 0
        assert f"worker 1 (pid {pid}) did not stop within 0.05 s: killed" in serving.logged("did not")


def test_a_second_request_makes_haste_and_a_third_kills() -> None:
    with Serving("deaf", graceful=3600.0, timing={"hurry_s": 1800.0}) as serving:
        serving.event("ready")
        serving.signal(signal.SIGTERM)
        serving.event("deaf")
        serving.signal(signal.SIGTERM)
        serving.logged("SIGTERM again: stopping in haste")
        serving.signal(signal.SIGINT)
        serving.logged("SIGINT again: stopping at once")
        assert serving.wait() == 0


def test_workers_die_with_a_killed_master() -> None:
    with Serving("serve", server={"workers": 2}) as serving:
        pids = [serving.event("ready")[1] for _ in range(2)]
        descriptors = [os.pidfd_open(pid) for pid in pids]
        serving.signal(signal.SIGKILL)
        assert [ends(descriptor) for descriptor in descriptors] == [True, True]


def test_a_worker_that_does_not_listen_dies_with_a_killed_master_too() -> None:
    with Serving("deaf", graceful=0.05) as serving:
        descriptor = os.pidfd_open(serving.event("ready")[1])
        serving.signal(signal.SIGKILL)
        serving.event("deaf")
        assert ends(descriptor)


def test_processes_carry_their_names() -> None:
    with Serving("serve", server={"workers": 2}) as serving:
        # The title is set before a worker's first word; the master's before it forks.
        workers = {words[0]: pid for words, pid in (serving.event("ready") for _ in range(2))}
        names = {pid: shown(pid) for pid in (serving.process.pid, workers["1"], workers["2"])}
        assert names == {
            serving.process.pid: ("drawbar: master", "drawbar-master"),
            workers["1"]: ("drawbar: worker 1", "drawbar-worker"),
            workers["2"]: ("drawbar: worker 2", "drawbar-worker"),
        }


def shown(pid: int) -> tuple[str, str]:
    """What ps and pgrep see of a process."""
    arguments = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0")
    return arguments, Path(f"/proc/{pid}/comm").read_text().strip()


def test_workers_draw_different_random_numbers() -> None:
    with Serving("random_number", server={"workers": 3}) as serving:
        drawn = {serving.event("random")[0][0] for _ in range(3)}
        assert len(drawn) == 3


def test_workers_hold_nothing_of_the_master_but_the_listeners() -> None:
    with Serving("descriptors", server={"workers": 3}) as serving:
        # One pipe, the one to report through, and the scoreboard.
        assert [serving.event("descriptors")[0] for _ in range(3)] == [["/memfd,pipe"]] * 3


def test_a_worker_runs_the_farewells_of_the_application() -> None:
    with Serving("farewell") as serving:
        _, pid = serving.event("ready")
        serving.signal(signal.SIGTERM)
        assert serving.event("farewell") == ([], pid)
        assert serving.wait() == 0


def test_an_idle_master_uses_no_processor_time() -> None:
    # With a limit to a reactor's stillness it looks at the workers every quarter of that.
    with Serving("serve", timeouts={"liveness": 0.0}) as serving:
        serving.event("ready")
        serving.logged("serving")
        # Asleep in poll(2) without a timeout: the system call's number and its third argument say so.
        call = Path(f"/proc/{serving.process.pid}/syscall")
        if not call.exists():
            pytest.skip("the kernel does not show what a process waits for")
        deadline = time.monotonic() + PATIENCE_S
        while (words := call.read_text().split())[0] == "running":
            assert time.monotonic() < deadline
        assert int(words[3], 16) in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF), words


def test_a_taken_port_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        listen = {"bind_tries": 1}
        with Serving("serve", server={"bind": [f"127.0.0.1:{port}"]}, listen=listen) as serving:
            assert serving.wait() == 2
            assert serving.log.rest() == [
                f"drawbar: --bind 127.0.0.1:{port}: the address is in use; stop the other server or choose another port"
            ]


def test_removes_its_socket_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "drawbar.sock"
    with Serving("serve", server={"bind": [f"unix:{path}"]}) as serving:
        serving.event("ready")
        assert path.is_socket()
        assert serving.stop() == 0
        assert not path.exists()


def test_serves_on_an_inherited_descriptor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        bind = f"fd://{listener.fileno()}"
        with Serving("answer", pass_fds=(listener.fileno(),), server={"bind": [bind]}) as serving:
            assert serving.port() == listener.getsockname()[1]
            with socket.create_connection(listener.getsockname(), PATIENCE_S) as client:
                assert client.recv(100) == b"hello"
