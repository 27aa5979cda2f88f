"""The pool through whatever may happen to it, in any order: the master is played, processes and clock are made up.

What holds at every moment stands in the invariants and in `_check`; what holds in the end, when nothing more happens
to it, in `teardown`.
"""

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from drawbar.supervisor.decisions import Action, Dump, End, Fork, Kill, Retire, Stop, decide, next_wake
from drawbar.supervisor.pool import Cause, Phase, Pool, Slot, Strategy, Timing, Worker

TIMING = Timing(graceful_s=30.0, young_s=1.0, backoff_cap_s=4.0, boot_s=20.0, max_age_s=500.0, drain_delay_s=3.0)
MOST_SLOTS = 4
MOST_ROUNDS = 20
"""Of decisions without an event between them; each acts on what the last has done."""
MOST_EVENTS = 500
"""Until a pool of this size has settled."""

CAUSES = [Cause.MAX_REQUESTS, Cause.MAX_MEMORY, Cause.LIVENESS, Cause.TIMEOUT, Cause.ORDER, Cause.REFORK]
SELDOM = st.sampled_from([False, False, False, False, True])


class PoolMachine(RuleBasedStateMachine):
    """One pool and the events that befall it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.pids = 0
        self.forks_fail = False
        self.former: int | None = None
        """How many workers there are to be again should the reload fail."""
        self.ended: int | None = None

    @initialize(
        slots=st.integers(1, MOST_SLOTS),
        strategy=st.sampled_from(Strategy),
        patient=SELDOM,
        booted=st.booleans(),
        timing=st.sampled_from([TIMING, Timing(), TIMING._replace(graceful_s=0.0, max_age_s=0.0)]),
    )
    def start(self, slots: int, strategy: Strategy, patient: bool, booted: bool, timing: Timing) -> None:
        numbers = [Slot(number) for number in range(1, slots + 1)]
        self.pool = Pool(slots=numbers, timing=timing, strategy=strategy, patient=patient)
        self._act()
        if booted:
            for worker in list(self.pool.workers):
                self.pool.on_ready(worker, self.now)
            self._act()

    # What befalls the workers.

    def _any(self, data: st.DataObject, *phases: Phase) -> Worker | None:
        found = [worker for worker in self.pool.workers if not phases or worker.phase in phases]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(data=st.data())
    def gets_ready(self, data: st.DataObject) -> None:
        # One that was told to stop may have been ready before it heard of it.
        worker = self._any(data, Phase.STARTING, Phase.STOPPING)
        if worker is not None and worker.ready_at == math.inf:
            self.pool.on_ready(worker, self.now)
            self._act()

    @rule()
    def all_get_ready(self) -> None:
        for worker in [worker for worker in self.pool.workers if worker.phase is Phase.STARTING]:
            self.pool.on_ready(worker, self.now)
        self._act()

    @rule(data=st.data())
    def fails_to_start(self, data: st.DataObject) -> None:
        worker = self._any(data, Phase.STARTING)
        if worker is not None:
            worker.failure = "it cannot be imported"
            self.pool.on_died(worker, self.now)
            self._act()

    @rule(data=st.data(), says_why=st.booleans())
    def dies(self, data: st.DataObject, says_why: bool) -> None:
        worker = self._any(data)
        if worker is not None:
            if says_why and worker.phase is Phase.STARTING:
                worker.failure = "it cannot be imported"
            self.pool.on_died(worker, self.now)
            self._act()

    @rule(data=st.data(), cause=st.sampled_from(CAUSES))
    def is_due(self, data: st.DataObject, cause: Cause) -> None:
        worker = self._any(data)
        if worker is not None:
            self.pool.on_due(worker, cause)
            self._act()

    @rule(data=st.data())
    def is_promoted(self, data: st.DataObject) -> None:
        worker = self._any(data, Phase.STOPPING)
        wanted = worker is not None and worker.generation == self.pool.generation and self.pool.ending is None
        if worker is not None and wanted and worker.retiring is Cause.REFORK:
            self.pool.on_promoted(worker)
            self._act()

    @rule(seconds=st.sampled_from([0.05, 0.5, 1.0, 2.0, 10.0, 31.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        """The master wakes up at the latest when it said it would."""
        until = self.now + seconds
        for _ in range(MOST_EVENTS):
            wake = next_wake(self.pool) if self.ended is None else None
            if wake is None or wake > until:
                break
            self.now = max(self.now, wake)
            self._act()
        else:
            raise AssertionError("woken for ever")
        self.now = until
        self._act()

    # What operators order.

    @rule()
    @precondition(lambda self: self.pool.ending is None)
    def is_reloaded(self) -> None:
        self.pool.on_recall()
        self.pool.on_change()
        self._act()

    @rule()
    @precondition(lambda self: self.pool.ending is None)
    def is_reloaded_with_a_mistake(self) -> None:
        self.all_get_ready()
        self.is_reloaded()
        for worker in [worker for worker in self.pool.workers if worker.phase is Phase.STARTING]:
            worker.failure = "it cannot be imported"
            self.pool.on_died(worker, self.now)
        self._act()

    @rule(count=st.integers(1, MOST_SLOTS))
    @precondition(lambda self: self.pool.ending is None)
    def is_reloaded_with_another_number(self, count: int) -> None:
        if self.former is None:
            self.former = len(self.pool.slots)
        self.pool.on_resize(count, on_trial=True)
        # With a fork server it takes its time until the generation begins.
        self._act()
        self.is_reloaded()

    @rule(count=st.integers(1, MOST_SLOTS), delay=st.sampled_from([0.0, 1.0]))
    @precondition(lambda self: self.pool.ending is None)
    def is_resized(self, count: int, delay: float) -> None:
        until = {slot.number: self.now + delay for slot in self.pool.slots if delay and slot.number > count}
        self.pool.on_resize(count, until)
        self._act()

    @rule(count=st.integers(1, MOST_SLOTS), first=st.permutations(range(1, MOST_SLOTS + 1)))
    @precondition(lambda self: self.pool.ending is None)
    def is_resized_by_who_is_idle(self, count: int, first: list[int]) -> None:
        before = {slot.number for slot in self.pool.slots}
        self.pool.on_resize(count, go_first=first)
        after = {slot.number for slot in self.pool.slots}
        assert len(after) == count
        assert after <= before or before <= after
        self._act()

    @rule()
    @precondition(lambda self: self.pool.ending is None and self.pids > 2 * MOST_SLOTS)
    def is_halted(self) -> None:
        self.pool.on_halt()
        self._act()

    @rule(quick=st.booleans())
    @precondition(lambda self: self.pids > 2 * MOST_SLOTS)
    def is_stopped(self, quick: bool) -> None:
        self.pool.on_stop(self.now, quick=quick)
        self._act()

    # What the system does.

    @rule(fail=SELDOM)
    def forks_fail_or_not(self, fail: bool) -> None:
        self.forks_fail = fail
        self._act()

    @rule(barren=SELDOM)
    def there_is_a_fork_server_or_none(self, barren: bool) -> None:
        self.pool.barren = barren
        self._act()

    # The master.

    def _act(self) -> None:
        """Decides and acts until there is nothing to do."""
        for _ in range(MOST_ROUNDS):
            if self.ended is not None:
                return
            actions = decide(self.pool, self.now)
            assert decide(self.pool, self.now) == actions
            assert len(set(actions)) == len(actions)
            if self.pool.held and self.former is not None:
                self.pool.on_resize(self.former)
                self.former = None
                continue
            if self.pool.is_settled():
                self.former = None
            if not actions:
                return
            for action in actions:
                self._check(action)
                self._carry_out(action)
        raise AssertionError(f"no end of it: {actions}")

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, End):
            self.ended = action.code
        elif isinstance(action, Fork):
            if self.forks_fail:
                self.pool.on_fork_failed(action.slot, self.now)
            else:
                self.pids += 1
                self.pool.on_forked(action.slot, action.generation, self.pids, self.now)
        else:
            worker = self.pool.find(action.pid)
            assert worker is not None
            if isinstance(action, Stop):
                self.pool.on_asked_to_stop(worker, self.now)
            elif isinstance(action, Kill):
                self.pool.on_killed(worker)
            elif isinstance(action, Retire):
                assert self.pool.on_due(worker, action.cause)
            elif isinstance(action, Dump):
                self.pool.on_late(worker, self.now)

    def _check(self, action: Action) -> None:
        pool = self.pool
        if isinstance(action, Stop):
            worker = pool.find(action.pid)
            assert worker is not None
            assert not worker.is_leaving(), "it was told to stop before"
            wanted = any(slot.number == worker.slot for slot in pool.slots)
            if worker.is_serving() and worker.until_generation and not pool.halted and pool.ending is None:
                assert not wanted
                assert pool.generation >= worker.until_generation, "the generation it waits for has not begun"
                assert not pool.held, "that generation does not start"
            if worker.is_serving() and wanted and not pool.halted and pool.ending is None:
                relieved = any(pool.is_fit(other) and other.is_serving() for other in pool.of_slot(worker.slot))
                goes_first = pool.strategy is Strategy.STOP_FIRST and worker.generation != pool.generation
                assert relieved or goes_first, "the slot would be empty"
        elif isinstance(action, Fork):
            assert pool.ending is None
            assert not pool.halted
            assert not pool.barren
            assert action.generation == pool.generation
        elif isinstance(action, End):
            assert not pool.workers

    # What holds whenever the master has acted.

    @invariant()
    def a_slot_has_one_fit_worker_at_most(self) -> None:
        for slot in self.pool.slots:
            assert sum(self.pool.is_fit(worker) for worker in self.pool.of_slot(slot.number)) <= 1

    @invariant()
    def a_wait_is_a_wait(self) -> None:
        """Nothing is left to do before the time the master is to be woken, which is to come."""
        if self.ended is None:
            wake = next_wake(self.pool)
            assert wake is None or wake > self.now, "the master would wake up for nothing, over and over"
            assert decide(self.pool, (self.now + wake) / 2 if wake is not None else self.now + 1e6) == []

    @invariant()
    def planned_replacements_come_one_at_a_time(self) -> None:
        if self.pool.strategy is Strategy.ALL or self.pool.ending is not None:
            return
        pairs = 0
        for slot in self.pool.slots:
            workers = [worker for worker in self.pool.of_slot(slot.number) if not worker.is_leaving()]
            booting = [worker for worker in workers if self.pool.is_fit(worker) and not worker.is_serving()]
            pairs += bool(booting) and any(worker.is_serving() for worker in workers)
        assert pairs <= 1

    # What becomes of it.

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        self.forks_fail = self.pool.barren = False
        self._act()
        self._live_on()
        pool = self.pool
        if pool.ending is None:
            if pool.halted:
                assert pool.workers == []
            elif pool.held:
                serving = {worker.slot for worker in pool.workers if worker.is_serving()}
                assert pool.patient or serving == {slot.number for slot in pool.slots}
                assert pool.patient or all(worker.retiring is None for worker in pool.workers)
            else:
                assert pool.is_settled()
            self.pool.on_stop(self.now)
            self._act()
            self._live_on()
        assert self.ended == (pool.ending.code if pool.ending is not None else None)

    def _live_on(self) -> None:
        """From now on what starts gets ready, and what is told to stop does so."""
        for _ in range(MOST_EVENTS):
            if self.ended is not None:
                return
            worker = next((worker for worker in self.pool.workers if not worker.is_serving()), None)
            if worker is None:
                wake = next_wake(self.pool)
                if wake is None or wake > self.now + TIMING.max_age_s / 2:
                    return
                self.now = max(wake, self.now)
            elif worker.is_leaving():
                self.pool.on_died(worker, self.now)
            else:
                self.pool.on_ready(worker, self.now)
            self._act()
        raise AssertionError("it does not settle")


PoolMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestPool = PoolMachine.TestCase
