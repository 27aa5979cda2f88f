# cython: language_level=3
"""Leader and followers: one thread reads and calls the app in place; another takes the lead when a call takes long.

Law: exactly one thread leads (takes turns of the reactor). It calls quick requests itself, with no hand-off, so a fast
application runs at the speed of a single thread. The watcher, one follower, looks once a tick: when the leader has
been inside one and the same call for a whole tick, the watcher leads from there on, and the old leader finishes its
exchange alone and then becomes a follower (TURN_LOST unwinds it). While the leader has nothing to do the watcher
sleeps for good.

A route that was slow lately is not called by the leader at all but queued for followers, which pull: a thread takes a
call when it has nothing else to do (lanes.pyx says which). At most `maximum` calls run at once, by at most one thread
more than that: the leader goes on reading, timing out and answering while every slot is held.

A call that timed out (exchange/sentinel.pyx) may never return. It is written off: it counts no longer, and another
thread may take the place of the one it holds. When it does return, that thread takes roles again. The thread that calls
run() may be spared: it then waits for the end and calls nothing, so that no call can keep the process from ending.

All bookkeeping happens with the GIL held, and a slot is taken before anything that may let another thread run. Threads
sleep and tick without the GIL, on a semaphore of their own.
"""
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from drawbar.exchange.exchange cimport CALL_OVER, CALL_RUNNING, CALL_WRITTEN_OFF, Executor, Job, now_ns
from drawbar.executors.lanes cimport (
    LANE_NONE, LANE_QUICK, LANE_SLOW, Lane, Slots, look_again_ns, next_lane, note_ended, note_quick, note_started)
from drawbar.net.reactor cimport (
    ROOM_AMPLE, ROOM_NONE, ROOM_QUEUED, ROOM_SOME, Reactor, Source, TURN_KEPT, TURN_LOST, Turn)

import threading
from collections import deque


cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    enum:
        CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* into)

cdef extern from "<semaphore.h>" nogil:
    ctypedef struct sem_t:
        pass
    int sem_init(sem_t* semaphore, int shared, unsigned int value)
    int sem_destroy(sem_t* semaphore)
    int sem_post(sem_t* semaphore)
    int sem_wait(sem_t* semaphore)
    int sem_trywait(sem_t* semaphore)
    int sem_clockwait(sem_t* semaphore, int clock, const timespec* until)

cdef enum:
    TICK_NS = 1_000_000         # a call still running at the second look is long: 1 to 2 ms
    QUIET_TICKS = 50            # ticks without a new call after which the watcher sleeps for good
    IDLE_NS = 30_000_000_000    # a follower idle this long ends, down to the minimum
    ROUTES = 1024               # remembered routes; a power of two
    SLOW_SCORE = 4              # quick runs in a row that make a slow route quick again
    SPAWN_RETRY_NS = 1_000_000_000  # after the machine refused another thread
    MOST_WRITTEN_OFF = 64       # calls; further ones keep their slots: threads that hang must not grow without end
    LANE_POLL_MS = 1            # how often the leader looks at the lanes while a call may start and no thread takes it

cdef struct Route:
    uint64_t took_ns            # by calls of it lately, a moving average; 0: not measured yet
    uint8_t score               # > 0: slow lately


cdef void _after(timespec* until, uint64_t ns) noexcept nogil:
    cdef uint64_t nanoseconds
    clock_gettime(CLOCK_MONOTONIC, until)
    nanoseconds = <uint64_t>until.tv_nsec + ns
    until.tv_sec += <long>(nanoseconds // 1_000_000_000)
    until.tv_nsec = <long>(nanoseconds % 1_000_000_000)


cdef class _Thread:
    """One thread that takes roles. Its semaphore is what others wake it by."""
    cdef sem_t semaphore
    cdef bint posted            # woken, and has not noticed yet: a second wake would be left over
    cdef bint coming            # counted in `starting`
    cdef bint asleep            # watches, but not before it is woken

    def __cinit__(self):
        sem_init(&self.semaphore, 0, 0)

    def __dealloc__(self):
        sem_destroy(&self.semaphore)

    cdef void wake(self) noexcept:
        if not self.posted:
            self.posted = True
            sem_post(&self.semaphore)

    cdef void noticed(self) noexcept:
        """It is awake: what woke it, even in the moment it gave up, is spent."""
        if self.posted:
            self.posted = False
            sem_trywait(&self.semaphore)

    cdef bint sleep(self, uint64_t ns) noexcept:
        """Until woken, or for so long (0: without end). True when woken."""
        cdef timespec until
        cdef bint woken
        with nogil:
            if ns:
                _after(&until, ns)
            while True:
                if (sem_clockwait(&self.semaphore, CLOCK_MONOTONIC, &until) if ns else sem_wait(&self.semaphore)) == 0:
                    break
                if errno != EINTR:
                    break
        woken = self.posted
        self.noticed()
        return woken


cdef class ThreadsExecutor(Executor):
    """minimum: threads kept when there is nothing to do. maximum: calls of the app that may run at once.

    spares_caller: run() only waits, and other threads do everything.
    """
    cdef Reactor reactor
    cdef readonly int minimum
    cdef readonly int maximum
    cdef readonly int threads           # alive, the leader included
    cdef Slots slots
    cdef uint64_t epoch                 # changes with every new leader
    cdef bint led
    cdef volatile uint64_t call_number  # of the leader's calls
    cdef volatile bint calling          # the leader is inside a call
    cdef uint32_t call_route
    cdef _Thread watcher
    cdef list idle                      # followers asleep; the last one slept least
    cdef object quick
    cdef object slow
    cdef int starting                   # threads woken or made for a call and not there yet
    cdef uint64_t spawn_after_ns        # the machine refused a thread: not before
    cdef Route routes[ROUTES]
    cdef readonly int written_off       # calls that still hold a thread
    cdef bint spares_caller
    cdef object ended                   # a lock, held until the reactor has stopped

    def __init__(self, Reactor reactor, int minimum, int maximum, *, bint spares_caller=False):
        if not 1 <= minimum <= maximum:
            raise ValueError(f"threads must be 1 <= minimum <= maximum, not {minimum}:{maximum}")
        self.reactor = reactor
        # Of so many some are busy: how many have been started by now tells nobody whether that is much.
        reactor.page.threads = maximum
        self.minimum = minimum
        self.maximum = maximum
        self.slots.maximum = maximum
        self.idle = []
        self.quick = deque()
        self.slow = deque()
        self.spares_caller = spares_caller
        self.ended = threading.Lock()
        self.ended.acquire()

    # -- what a test or a status page asks

    @property
    def running(self):
        """Calls of the app running now."""
        return self.slots.running

    @property
    def waiting(self):
        """Calls waiting for a slot."""
        return len(self.quick) + len(self.slow)

    # -- submitting: by the leader

    cdef Turn submit(self, Job job) except *:
        cdef uint32_t route = job.route & (ROUTES - 1)
        cdef uint64_t epoch = self.epoch
        if self.routes[route].score > 0:
            self.slow.append(job)
            self._staff(False)
            return TURN_KEPT
        if self.slots.running >= self.maximum or self.quick:
            note_quick(&self.slots, now_ns())
            self.quick.append(job)
            self._staff(False)
            return TURN_KEPT
        self.slots.running += 1
        job.call = CALL_RUNNING
        job.lane = LANE_NONE
        job.epoch = epoch
        if self.watcher is None or self.watcher.asleep:
            self._need_watcher()
        self.call_number += 1
        self.call_route = route
        self.calling = True
        try:
            job.run()
        except BaseException as error:
            self.reactor.report(error)
        if job.call == CALL_WRITTEN_OFF:
            self.written_off -= 1
        else:
            self.slots.running -= 1
        job.call = CALL_OVER
        if self.epoch != epoch:
            if job.lane == LANE_NONE:
                self.slots.running_slow -= 1
            self._tell_drained()
            return TURN_LOST
        self.calling = False
        if self.slow:
            note_quick(&self.slots, now_ns())
            self._staff(False)
        return TURN_KEPT

    cdef int write_off(self, Job job) except -1:
        if job.call != CALL_RUNNING or self.written_off >= MOST_WRITTEN_OFF:
            return 0
        job.call = CALL_WRITTEN_OFF
        self.written_off += 1
        if job.lane != LANE_NONE:
            note_ended(&self.slots, <Lane>job.lane, job.ticket)
        else:
            self.slots.running -= 1
            if job.epoch != self.epoch:
                # Its leader was relieved, and it has counted as slow since.
                self.slots.running_slow -= 1
                job.lane = LANE_SLOW
        if self.slow or self.quick:
            self._staff(False)
        self._note_room()
        self._tell_drained()
        return 0

    # -- staffing

    cdef int _staff(self, bint watch) except -1:
        """Sees that as many threads are on their way as there are calls that may start, and one more to `watch`."""
        cdef Slots plan = self.slots
        cdef int quick = <int>len(self.quick)
        cdef int slow = <int>len(self.slow)
        cdef int needed = 1 if watch else 0
        cdef uint64_t now = now_ns()
        cdef Lane lane
        while True:
            lane = next_lane(&plan, quick, slow, now)
            if lane == LANE_NONE:
                break
            note_started(&plan, lane, 0)
            if lane == LANE_QUICK:
                quick -= 1
            else:
                slow -= 1
            needed += 1
        # Counted first: starting a thread lets it run, and it may be at its call when we go on.
        for _ in range(needed - self.starting):
            if not self._wake_one():
                break
        return 0

    cdef bint _wake_one(self) except *:
        """Wakes or makes a follower. False when all there may be are at work."""
        cdef _Thread thread
        if self.idle:
            thread = self.idle.pop()
        elif self.threads - self.written_off <= self.maximum and self._spawn():
            return True
        elif self.watcher is not None:
            # Every other thread is in a call: the watcher has nobody left to relieve but by pulling itself.
            thread = self.watcher
            self.watcher = None
        else:
            return False
        thread.coming = True
        self.starting += 1
        thread.wake()
        return True

    cdef bint _spawn(self) except *:
        """Makes a follower. False when the machine refuses: then those that are there must do."""
        cdef _Thread thread
        if now_ns() < self.spawn_after_ns:
            return False
        thread = _Thread()
        thread.coming = True
        self.starting += 1
        self._count(1)
        try:
            threading.Thread(target=self._follow, args=(thread,), name=f"drawbar-{self.threads}", daemon=True).start()
        except Exception as error:
            self._count(-1)
            self.starting -= 1
            self.spawn_after_ns = now_ns() + <uint64_t>SPAWN_RETRY_NS
            self.reactor.report(error)
            return False
        return True

    cdef int _need_watcher(self) except -1:
        """Before the leader calls an app itself: somebody must be able to relieve it."""
        if self.watcher is not None:
            self.watcher.asleep = False
            self.watcher.wake()
        else:
            # A thread that finds no call to run becomes the watcher. One that is coming may find a call.
            self._staff(True)
        return 0

    cdef int _count(self, int change) except -1:
        """One thread more, or less."""
        self.threads += change
        return 0

    # -- roles

    def run(self):
        """Takes roles on the calling thread, unless that is spared, until the reactor is stopped."""
        if self.spares_caller:
            if not self._spawn():
                raise RuntimeError("the system gives no thread to serve on")
            # The one kind of wait in which Python's signal handlers run.
            self.ended.acquire()
            return
        self._count(1)
        self._roles(_Thread(), False)
        self._count(-1)
        self._wake_all()

    def _follow(self, _Thread thread):
        """Takes roles on a thread made for a call."""
        while True:
            try:
                self._roles(thread, True)
                break
            except BaseException as error:
                # It may have led, and the others sleep: somebody must go on.
                self.reactor.report(error)
        self._count(-1)

    cdef int _roles(self, _Thread thread, bint may_end) except -1:
        cdef Lane lane
        while not self.reactor.stopped:
            if thread.coming:
                thread.coming = False
                self.starting -= 1
            thread.noticed()
            if self.reactor.leaving:
                self._note_room()
            if not self.led:
                self._lead()
                continue
            lane = next_lane(&self.slots, <int>len(self.quick), <int>len(self.slow), now_ns())
            if lane != LANE_NONE:
                self._work(lane)
                continue
            if self.reactor.waiting and self._look_again_ns():
                # It fell asleep when only the end of a call could let another one start: now time can, too.
                self.reactor.wake()
            if self.watcher is None:
                self._watch(thread)
            elif not self._rest(thread, may_end):
                return 0
        return 0

    cdef int _lead(self) except -1:
        cdef uint64_t epoch
        cdef Reactor reactor = self.reactor
        self.led = True
        self.epoch += 1
        epoch = self.epoch
        self.calling = False
        try:
            while not reactor.stopped:
                self._note_room()
                if reactor.turn(self._sleep_ms()) == TURN_LOST or self.epoch != epoch:
                    return 0
                if self.slow or self.quick:
                    self._staff(False)
                if reactor.draining and reactor.connections == 0 and self.slots.running == 0 and not self.waiting:
                    reactor.stop()
        finally:
            if self.epoch == epoch:
                self.led = False
            if reactor.stopped:
                self._wake_all()
        return 0

    cdef int _note_room(self) except -1:
        """Tells the reactor whether a quick call that came now would have to wait for the end of another one."""
        cdef int quick = <int>len(self.quick)
        cdef int slow = <int>len(self.slow)
        cdef int running = self.slots.running
        cdef bint none = running >= self.maximum
        if not none and running + quick + slow >= self.maximum:
            # Either they are about to start, or slow ones wait although a slot is free: that is for quick ones.
            none = next_lane(&self.slots, quick, slow, now_ns()) != LANE_NONE
        if none:
            return self.reactor.set_room(ROOM_QUEUED if quick + slow > 0 else ROOM_NONE)
        return self.reactor.set_room(ROOM_SOME if running > 0 else ROOM_AMPLE)

    cdef uint64_t _look_again_ns(self) except? 0:
        return look_again_ns(&self.slots, <int>len(self.quick), <int>len(self.slow), now_ns())

    cdef int _sleep_ms(self) except -2:
        """How long the leader may sleep: to the reactor's next deadline, or until calls that wait must be looked at."""
        cdef int timeout = self.reactor.timeout_ms()
        cdef int look = -1
        cdef uint64_t wait
        if not self.slow and not self.quick:
            return timeout
        if next_lane(&self.slots, <int>len(self.quick), <int>len(self.slow), now_ns()) != LANE_NONE:
            # A thread is on its way to it, unless the machine refused one.
            look = LANE_POLL_MS
        else:
            wait = self._look_again_ns()
            if wait:
                look = <int>(wait // 1_000_000) + 1
        return look if look >= 0 and (timeout < 0 or timeout > look) else timeout

    cdef int _work(self, Lane lane) except -1:
        """Pulls one call and runs it, unless its client has left while it waited."""
        cdef Job job = self.quick.popleft() if lane == LANE_QUICK else self.slow.popleft()
        cdef uint32_t route = job.route & (ROUTES - 1)
        cdef uint64_t started = now_ns()
        cdef uint64_t took
        cdef Route* known = &self.routes[route]
        if not job.wanted():
            job.dismiss()
            self._tell_drained()
            return 0
        job.ticket = note_started(&self.slots, lane, started + known.took_ns if known.took_ns else 0)
        job.lane = lane
        job.call = CALL_RUNNING
        try:
            job.run()
        except BaseException as error:
            self.reactor.report(error)
        took = now_ns() - started
        if job.call == CALL_WRITTEN_OFF:
            self.written_off -= 1
        else:
            note_ended(&self.slots, lane, job.ticket)
        job.call = CALL_OVER
        known.took_ns = (3 * known.took_ns + took) // 4 if known.took_ns else took
        if took >= TICK_NS:
            known.score = SLOW_SCORE
        elif known.score > 0:
            known.score -= 1
        self._tell_drained()
        return 0

    cdef void _tell_drained(self) noexcept:
        """After a call away from the leader: it may wait for nothing but this call."""
        if self.reactor.draining and self.slots.running == 0:
            self.reactor.wake()

    cdef int _watch(self, _Thread thread) except -1:
        """Looks once a tick whether the leader is held up; returns when it leads no more or this thread is needed."""
        cdef uint64_t seen = self.call_number
        cdef int quiet = 0
        cdef bint woken, held
        cdef uint64_t number
        self.watcher = thread
        try:
            while not self.reactor.stopped and self.watcher is thread:
                if quiet >= QUIET_TICKS and not self.calling:
                    thread.asleep = True
                    thread.sleep(0)
                    thread.asleep = False
                    quiet = 0
                    seen = self.call_number
                    continue
                with nogil:
                    while True:
                        woken = self._tick(&thread.semaphore)
                        number = self.call_number
                        held = self.calling and number == seen
                        if woken or held:
                            break
                        quiet = quiet + 1 if number == seen else 0
                        seen = number
                        if quiet >= QUIET_TICKS:
                            break
                thread.noticed()
                if held and self.calling and self.call_number == seen and self.watcher is thread:
                    self._relieve()
                    return 0
        finally:
            if self.watcher is thread:
                self.watcher = None
        return 0

    cdef bint _tick(self, sem_t* semaphore) noexcept nogil:
        cdef timespec until
        _after(&until, TICK_NS)
        return sem_clockwait(semaphore, CLOCK_MONOTONIC, &until) == 0

    cdef int _relieve(self) except -1:
        """Takes the lead from the thread inside a long call."""
        cdef Source source = self.reactor.current
        # Nothing here or in on_relieved() lets another thread run before the head is copied.
        self.routes[self.call_route].score = SLOW_SCORE
        self.slots.running_slow += 1
        self.epoch += 1
        self.calling = False
        self.led = False
        self.reactor.current = None
        if source is not None:
            try:
                source.on_relieved()
            except Exception as error:
                self.reactor.report(error)
                source.on_failed()
        return 0

    cdef bint _rest(self, _Thread thread, bint may_end) except *:
        """Sleeps until needed. False when this thread is one too many."""
        cdef bint woken
        self.idle.append(thread)
        woken = thread.sleep(<uint64_t>IDLE_NS if may_end else 0)
        if thread in self.idle:
            # Not by somebody who needs it: the time is over, or the reactor has stopped.
            self.idle.remove(thread)
        return woken or self.threads - self.written_off <= self.minimum + 1

    cdef int _wake_all(self) except -1:
        """The reactor has stopped: nobody sleeps on."""
        cdef _Thread thread
        for thread in self.idle:
            thread.wake()
        if self.watcher is not None:
            self.watcher.wake()
        if self.spares_caller:
            self.spares_caller = False
            self.ended.release()
        return 0
