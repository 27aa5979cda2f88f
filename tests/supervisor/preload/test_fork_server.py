"""A fork server and its workers as real processes: who is whose child, what is shared, who survives whom."""

import os
import signal

import pytest

from drawbar.supervisor.host.memory import read_memory
from tests.supervisor.harness import ends
from tests.supervisor.preload.forked import Forked

WAYS = ["wsgi", "asgi"]
HOOKS = "tests.supervisor.preload.sites.preloaded"
BALLAST_BYTES = 24 << 20


def title(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().strip(b"\0").decode()


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("way", WAYS)
def test_workers_are_forked_from_the_process_that_imported_the_application(way: str) -> None:
    with Forked(f"preloaded:{way}") as forked:
        assert forked.reported(forked.server) == f"ready {way}"
        assert title(forked.server) == "drawbar: fork server"
        worker = forked.fork(3)
        assert title(worker) == "drawbar: worker 3"
        facts = forked.facts()
        assert (facts["pid"], facts["imported_by"]) == (worker, forked.server)


def test_a_worker_is_a_child_of_the_master() -> None:
    with Forked("preloaded:wsgi") as forked:
        worker = forked.fork()
        assert forked.facts()["parent"] == forked.process.pid
        os.kill(worker, signal.SIGTERM)
        assert forked.ended(worker) == 0


def test_workers_die_with_a_killed_master() -> None:
    with Forked("preloaded:wsgi", timeouts={"graceful": 0.1}) as forked:
        pids = [forked.server, forked.fork(1), forked.fork(2)]
        handles = [os.pidfd_open(pid) for pid in pids]
        forked.process.kill()
        assert all(ends(handle) for handle in handles)


def test_workers_share_what_was_loaded() -> None:
    with Forked("preloaded:wsgi") as forked:
        first, second = forked.fork(1), forked.fork(2)
        forked.facts()
        for pid in (first, second):
            found = read_memory(pid)
            assert found is not None
            assert found.rss > BALLAST_BYTES
            assert found.private < BALLAST_BYTES // 2
            assert found.pss < found.rss // 2


def test_workers_serve_on_without_their_fork_server() -> None:
    with Forked("preloaded:wsgi") as forked:
        worker = forked.fork()
        os.kill(forked.server, signal.SIGKILL)
        assert forked.ended(forked.server) == -signal.SIGKILL
        assert forked.facts()["pid"] == worker
        forked.tell("fork 2")
        assert "fork server" in " ".join(forked.line("refused"))
        forked.tell("start")
        second = int(forked.line("server")[0])
        assert forked.reported(second) == "ready wsgi"
        replacement = forked.fork(2)
        os.kill(worker, signal.SIGTERM)
        assert forked.ended(worker) == 0
        facts = forked.facts()
        assert (facts["pid"], facts["imported_by"]) == (replacement, second)


def test_an_application_that_does_not_load_leaves_the_old_fork_server_as_it_is() -> None:
    with Forked("broken:app") as forked:
        said = forked.reported(forked.server)
        assert said.startswith("failed: tests.supervisor.preload.sites.broken:app: importing")
        assert "KeyError: 'DATABASE_URL'" in said
        assert forked.ended(forked.server) == 2


def test_a_fork_server_that_does_not_answer_is_killed_and_holds_nobody_up() -> None:
    with Forked("preloaded:wsgi", reply_s=0.05) as forked:
        forked.reported(forked.server)
        os.kill(forked.server, signal.SIGSTOP)
        forked.tell("fork 2")
        assert " ".join(forked.line("refused")) == "the fork server did not answer within 0.05 s and was killed"
        assert forked.ended(forked.server) == -signal.SIGKILL


def test_a_worker_that_nobody_supervises_ends() -> None:
    with Forked("preloaded:wsgi") as forked:
        forked.reported(forked.server)
        forked.tell("fork_and_forget")
        pid = int(forked.line("worker")[0])
        assert forked.ended(pid) == 1


def test_threads_of_the_import_are_named() -> None:
    with Forked("starts_a_thread:app") as forked:
        line = forked.log.until(lambda line: "threads" in line)
        assert "warning: the application started threads while it was imported (poller): forked workers do not" in line
        assert forked.reported(forked.server) == "ready wsgi"
        forked.fork()
        assert forked.facts()["threads"] <= 2


def test_hooks_are_called_before_and_after_the_fork() -> None:
    hooks = {"before_fork": f"{HOOKS}:before_fork", "after_fork": f"{HOOKS}:after_fork"}
    with Forked("preloaded:wsgi", hooks=hooks) as forked:
        forked.reported(forked.server)
        worker = forked.fork()
        assert forked.facts()["told"] == [f"before_fork in {forked.server}", f"after_fork in {worker}"]


def test_what_cannot_be_closed_is_not_shared() -> None:
    with Forked("preloaded:wsgi", hooks={"before_fork": f"{HOOKS}:fail"}) as forked:
        said = forked.reported(forked.server)
        assert said.startswith(f"failed: the hook before_fork ({HOOKS}:fail): raised RuntimeError: the pool cannot be")
        assert forked.ended(forked.server) == 2


def test_a_worker_that_cannot_be_prepared_does_not_start() -> None:
    with Forked("preloaded:wsgi", hooks={"after_fork": f"{HOOKS}:fail"}) as forked:
        forked.reported(forked.server)
        forked.tell("fork 1")
        worker = int(forked.line("worker")[0])
        assert forked.reported(worker).startswith("failed: the hook after_fork")
        assert forked.ended(worker) == 2


REFORK = {"preload": True, "refork": 1000}


@pytest.mark.parametrize("way", WAYS)
def test_a_warm_worker_becomes_the_fork_server(way: str) -> None:
    hooks = {name: f"{HOOKS}:{name}" for name in ("before_fork", "worker_exit")}
    with Forked(f"preloaded:{way}", lifecycle=REFORK, hooks=hooks) as forked:
        forked.reported(forked.server)
        cold = forked.server
        warm = forked.fork(1)
        assert forked.facts()["pid"] == warm
        assert forked.promote(warm) == f"forking {way}"
        assert title(warm) == "drawbar: fork server"
        forked.adopt(warm)
        worker = forked.fork(2)
        facts = forked.facts()
        assert (facts["pid"], facts["parent"]) == (worker, forked.process.pid)
        lifespan = [f"startup in {warm}", f"shutdown in {warm}"] if way == "asgi" else []
        again = [f"startup in {worker}"] if way == "asgi" else []
        farewell = [f"worker_exit in {warm}", f"before_fork in {warm}, refork"]
        assert facts["told"] == [f"before_fork in {cold}", *lifespan, *farewell, *again]
        os.kill(worker, signal.SIGTERM)
        assert forked.ended(worker) == 0


@pytest.mark.parametrize("way", WAYS)
def test_generations_leave_nothing_behind(way: str) -> None:
    with Forked(f"preloaded:{way}", lifecycle=REFORK) as forked:
        forked.reported(forked.server)
        held = []
        for slot in (1, 2, 3):
            worker = forked.fork(slot)
            forked.facts()
            assert forked.promote(worker) == f"forking {way}"
            forked.adopt(worker)
            held.append(descriptors(worker))
            assert len(os.listdir(f"/proc/{worker}/task")) == 1
        assert held[2] == held[1]


def test_a_worker_with_threads_of_its_own_is_not_forked_from() -> None:
    with Forked("preloaded:wsgi", lifecycle=REFORK) as forked:
        worker = forked.fork()
        forked.facts("/thread")
        said = forked.promote(worker)
        assert said == "not forking: it still has threads (stays); end them in the hook before_fork"
        assert forked.ended(worker) == 0


def test_a_request_to_stop_is_stronger_than_a_promotion() -> None:
    with Forked("preloaded:wsgi", lifecycle=REFORK) as forked:
        worker = forked.fork()
        os.kill(worker, signal.SIGSTOP)
        # The second line is only answered when the first was done.
        forked.tell(f"promote {worker}\nfork 2")
        forked.line("worker")
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, signal.SIGCONT)
        assert forked.ended(worker) == 0


def test_without_refork_a_worker_cannot_be_promoted() -> None:
    with Forked("preloaded:wsgi") as forked:
        worker = forked.fork()
        os.kill(worker, signal.SIGURG)
        assert forked.facts()["pid"] == worker


def test_a_fork_server_ends_with_its_masters_end_of_the_socket() -> None:
    with Forked("preloaded:wsgi") as forked:
        forked.reported(forked.server)
        forked.tell("hang_up")
        assert forked.ended(forked.server) == 0
