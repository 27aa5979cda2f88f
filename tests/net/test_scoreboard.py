"""The shared page: cells of real processes, totals that never go back, and what becomes of a process that dies."""

import gc
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from drawbar.net.inspect import EntryProbe, observe_latency
from drawbar.net.scoreboard import Cell, CollectionTimer, Scoreboard


@pytest.fixture
def board() -> Iterator[Scoreboard]:
    made = Scoreboard.create(4)
    yield made
    made.close()


def collect(cell: Cell, times: int, generation: int = 0) -> None:
    """Counts something in that cell: each call is one run of the collector."""
    timer = CollectionTimer(cell)
    for _ in range(times):
        timer("start", {"generation": generation})
        timer("stop", {"generation": generation})


def in_child(work: Callable[[], None]) -> int:
    """Runs it in a forked process; the raw status it ended with."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def test_a_claimed_cell_says_whose_it_is(board: Scoreboard) -> None:
    index = board.claim(3, 7)
    cell = board.cell(index)
    assert (cell.slot, cell.generation, cell.pid, cell.owner_pid) == (3, 7, 0, os.getpid())
    assert (cell.phase, cell.is_claimed) == ("starting", True)
    assert [other.index for other in board.cells()] == [index]


def test_a_worker_enters_its_cell_and_others_see_it(board: Scoreboard) -> None:
    cell = board.cell(board.claim(0, 1))

    def work() -> None:
        cell.enter()
        cell.phase = "serving"
        collect(cell, 3, generation=2)

    assert in_child(work) == 0
    assert cell.pid not in (0, os.getpid())
    assert cell.phase == "serving"
    assert cell.counters().collections == (0, 0, 3)
    assert cell.started_ns > 1_700_000_000 * 10**9


def test_totals_are_of_the_living_and_the_dead(board: Scoreboard) -> None:
    first, second = board.claim(0, 1), board.claim(1, 1)
    collect(board.cell(first), 5)
    collect(board.cell(second), 7)
    assert board.totals().collections[0] == 12
    board.retire(first)
    assert board.totals().collections[0] == 12
    board.retire(first)
    assert board.totals().collections[0] == 12
    assert [cell.index for cell in board.cells()] == [second]


def test_a_cell_claimed_anew_has_counted_nothing(board: Scoreboard) -> None:
    index = board.claim(0, 1)
    cell = board.cell(index)
    cell.enter()
    collect(cell, 5)
    board.retire(index)
    again = board.claim(1, 2)
    assert again == index
    fresh = board.cell(again)
    assert (fresh.pid, fresh.slot, fresh.counters().collections) == (0, 1, (0, 0, 0))
    assert board.totals().collections[0] == 5


def test_all_cells_taken_is_an_error_and_ends_with_the_next_free_one(board: Scoreboard) -> None:
    indexes = [board.claim(slot, 1) for slot in range(4)]
    assert sorted(indexes) == [0, 1, 2, 3]
    with pytest.raises(OSError, match="all 4 cells"):
        board.claim(4, 1)
    board.retire(2)
    assert board.claim(4, 1) == 2


@pytest.mark.parametrize("index", [-1, 4])
def test_there_is_no_such_cell(board: Scoreboard, index: int) -> None:
    with pytest.raises(IndexError, match="cells 0 to 3"):
        board.cell(index)


def test_a_board_has_cells() -> None:
    with pytest.raises(ValueError, match="at least one cell"):
        Scoreboard.create(0)


def test_another_process_attaches_by_the_descriptor(board: Scoreboard) -> None:
    index = board.claim(5, 9)
    collect(board.cell(index), 2)
    board.count_restart("crashed")
    code = (
        "from drawbar.net.scoreboard import Scoreboard\n"
        f"board = Scoreboard.attach({board.fd})\n"
        "print(board.totals().collections[0], [cell.slot for cell in board.cells()], board.restarts())\n"
        f"board.retire({index}); print(board.claim(6, 10))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], pass_fds=[board.fd], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout == f"2 [5] {{'crashed': 1}}\n{index}\n"
    assert [cell.slot for cell in board.cells()] == [6]
    assert board.totals().collections[0] == 2


def test_what_is_no_board_is_refused(board: Scoreboard) -> None:
    empty = os.memfd_create("empty")
    other = os.memfd_create("other")
    os.ftruncate(other, 1 << 20)
    for descriptor in (empty, other):
        with pytest.raises(ValueError, match="no scoreboard"):
            Scoreboard.attach(descriptor)
        # It is still the caller's.
        os.close(descriptor)


def test_the_board_of_another_release_is_refused(board: Scoreboard) -> None:
    with mmap.mmap(board.fd, mmap.PAGESIZE) as memory:
        memory[8:12] = (250).to_bytes(4, sys.byteorder)
    with pytest.raises(ValueError, match="layout is number 250"):
        Scoreboard.attach(os.dup(board.fd))


def test_a_board_of_another_size_is_refused(board: Scoreboard) -> None:
    with mmap.mmap(board.fd, mmap.PAGESIZE) as memory:
        memory[20:24] = (5).to_bytes(4, sys.byteorder)
    with pytest.raises(ValueError, match="another release"):
        Scoreboard.attach(os.dup(board.fd))


def test_the_page_cannot_be_cut_short_under_its_readers(board: Scoreboard) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(board.fd, 0)


def test_unused_cells_cost_no_memory() -> None:
    board = Scoreboard.create(1000)
    index = board.claim(0, 1)
    collect(board.cell(index), 1)
    board.totals()
    board.sweep()
    assert os.fstat(board.fd).st_blocks * 512 < 100_000
    assert board.capacity == 1000
    board.close()


def test_a_retired_cell_gives_its_memory_back(board: Scoreboard) -> None:
    index = board.claim(0, 1)
    board.totals()
    before = os.fstat(board.fd).st_blocks
    board.retire(index)
    assert os.fstat(board.fd).st_blocks < before


def test_a_closed_board_says_so(board: Scoreboard) -> None:
    board.close()
    for use in (board.totals, board.cells, board.restarts, lambda: board.claim(0, 0), lambda: board.retire(0)):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_restarts_are_counted_by_cause(board: Scoreboard) -> None:
    for cause in ("crashed", "max-requests", "crashed"):
        board.count_restart(cause)
    assert board.restarts() == {"crashed": 2, "max-requests": 1}


def test_more_causes_than_there_is_room_for_count_as_other(board: Scoreboard) -> None:
    for number in range(40):
        board.count_restart(f"cause {number}")
    restarts = board.restarts()
    assert restarts["other"] == 9
    assert sum(restarts.values()) == 40
    assert "cause 30" in restarts


def test_a_long_cause_is_cut(board: Scoreboard) -> None:
    board.count_restart("x" * 100)
    board.count_restart("x" * 100)
    assert board.restarts() == {"x" * 31: 2}


def test_sweeping_retires_the_dead_of_a_dead_master(board: Scoreboard) -> None:
    mine = board.claim(0, 1)

    def old_master() -> None:
        for slot in (1, 2):
            board.cell(board.claim(slot, 1)).enter()
        collect(board.cells()[1], 4)

    assert in_child(old_master) == 0
    assert len(board.cells()) == 3
    assert board.sweep() == 2
    assert [cell.index for cell in board.cells()] == [mine]
    assert board.totals().collections[0] == 4
    assert board.sweep() == 0


def test_sweeping_leaves_the_living_of_a_dead_master(board: Scoreboard) -> None:
    def old_master() -> None:
        board.claim(1, 1)

    assert in_child(old_master) == 0
    board.cells()[0].enter()
    assert board.sweep() == 0


def test_a_master_killed_at_any_time_leaves_a_board_that_works(board: Scoreboard) -> None:
    """Over and over: a process claims and retires as fast as it can and is killed in the middle of it."""
    counted = 0
    for _ in range(30):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            while True:
                index = board.claim(0, 1)
                collect(board.cell(index), 1)
                os.write(writer, b".")
                board.retire(index)
        for _ in range(20):
            os.read(reader, 1)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(writer)
        while chunk := os.read(reader, 65536):
            counted += len(chunk)
        counted += 20
        os.close(reader)
        # It may have counted once more without having said so.
        total = board.totals().collections[0]
        assert counted <= total <= counted + 1
        counted = total
        board.sweep()
        assert board.totals().collections[0] == total
        assert board.cells() == []


def test_totals_never_go_back_while_cells_come_and_go(board: Scoreboard) -> None:
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        for _ in range(5_000):
            index = board.claim(0, 1)
            collect(board.cell(index), 1)
            board.retire(index)
        os._exit(0)
    os.close(go)
    seen = 0
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        now = board.totals().collections[0]
        assert now >= seen
        seen = now
    os.close(ready)
    assert board.totals().collections[0] == 5_000


def test_two_masters_never_get_one_cell(board: Scoreboard) -> None:
    big = Scoreboard.create(64)
    pids = []
    for master in range(4):
        pid = os.fork()
        if pid == 0:
            for _ in range(16):
                big.claim(master, 1)
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
    assert sorted(cell.slot for cell in big.cells()) == [0] * 16 + [1] * 16 + [2] * 16 + [3] * 16
    big.close()


def test_a_private_cell_works_like_any_other() -> None:
    cell = Cell()
    collect(cell, 2, generation=1)
    assert (cell.index, cell.counters().collections, cell.in_flight()) == (-1, (0, 2, 0), [])


def test_a_disowned_cell_counts_for_itself(board: Scoreboard) -> None:
    cell = board.cell(board.claim(0, 1))
    timer = CollectionTimer(cell)
    cell.disown()
    timer("start", {"generation": 0})
    timer("stop", {"generation": 0})
    assert board.totals().collections[0] == 0
    assert cell.counters().collections[0] == 1


def test_the_collector_reports_its_runs() -> None:
    cell = Cell()
    timer = CollectionTimer(cell)
    gc.callbacks.append(timer)
    try:
        gc.collect(2)
        gc.collect(1)
    finally:
        gc.callbacks.remove(timer)
    counters = cell.counters()
    assert counters.collections[1:] == (1, 1)
    assert counters.collecting_s > 0


def test_a_collector_that_was_at_work_already_is_not_timed() -> None:
    cell = Cell()
    CollectionTimer(cell)("stop", {"generation": 0})
    assert cell.counters().collections == (0, 0, 0)


# -- entries


def states(cell: Cell) -> list[str]:
    return [request.state for request in cell.in_flight()]


def test_an_entry_says_what_becomes_of_its_request() -> None:
    cell = Cell()
    entry = EntryProbe(cell)
    assert states(cell) == ["running"]
    assert entry.answer()
    assert states(cell) == ["answering"]
    # As often as somebody asks: it has not timed out.
    assert entry.answer()
    entry.free()
    assert states(cell) == []


def test_of_answer_and_timeout_one_wins() -> None:
    cell = Cell()
    answered, late = EntryProbe(cell), EntryProbe(cell)
    before = answered.word
    assert answered.answer()
    assert not answered.time_out(before)
    assert late.time_out(late.word)
    assert not late.answer()
    assert not late.hold()
    assert states(cell) == ["answering", "timed out"]
    counters = cell.counters()
    assert (counters.timed_out, counters.requests) == (1, (0, 0, 0, 0, 0, 1))


def test_a_held_request_is_told_apart_by_its_word() -> None:
    cell = Cell()
    entry = EntryProbe(cell)
    free_to_answer = entry.word
    assert entry.hold()
    assert entry.word != free_to_answer
    assert not entry.time_out(free_to_answer)
    entry.unhold()
    assert entry.word == free_to_answer
    assert EntryProbe(cell, held=True).word & 0xFF == 2


def test_a_timeout_never_hits_the_next_request_with_that_entry() -> None:
    cell = Cell()
    first = EntryProbe(cell)
    seen = first.word
    first.free()
    second = EntryProbe(cell)
    assert not second.time_out(seen)
    assert states(cell) == ["running"]


def test_past_the_last_entry_requests_are_not_listed_and_nothing_else_changes() -> None:
    cell = Cell()
    probes = [EntryProbe(cell) for _ in range(4_096)]
    assert all(probe.listed for probe in probes)
    over = EntryProbe(cell)
    assert not over.listed
    assert over.hold()
    over.unhold()
    assert over.answer()
    assert len(cell.in_flight()) == 4_096
    probes[7].free()
    assert EntryProbe(cell).listed


def test_an_entry_of_another_cell_is_not_freed() -> None:
    board = Scoreboard.create(1)
    cell = board.cell(board.claim(0, 1))
    entry = EntryProbe(cell)
    cell.disown()
    entry.free()
    assert states(board.cells()[0]) == ["running"]
    board.close()


@pytest.mark.parametrize(
    ("ns", "bucket"),
    [(0, 0), (100_000, 0), (100_001, 1), (1_000_000, 3), (60_000_000_000, 17), (60_000_000_001, 18), (10**15, 18)],
)
def test_an_observation_falls_into_the_first_bucket_that_holds_it(ns: int, bucket: int) -> None:
    cell = Cell()
    observe_latency(cell, ns)
    latency = cell.counters().latency
    assert latency.buckets.index(1) == bucket
    assert latency.observations == 1
    assert latency.sum_s == ns / 1e9


def test_what_is_counted_apart_is_shown_and_stays_out_of_the_sums(board: Scoreboard) -> None:
    whole, apart = board.claim(1, 1), board.claim(1, 1, is_apart=True)
    for index in (whole, apart):
        collect(board.cell(index), 3)
    assert [cell.index for cell in board.cells()] == [whole, apart]
    assert board.totals().collections[0] == 3
    board.retire(apart)
    board.retire(whole)
    assert board.totals().collections[0] == 3
    assert board.cells() == []
    # Whoever has the place next is counted.
    for _ in range(2):
        collect(board.cell(board.claim(1, 2)), 1)
    assert board.totals().collections[0] == 5
