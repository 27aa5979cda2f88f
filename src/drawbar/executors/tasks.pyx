# cython: language_level=3
"""Every application call is a task of one asyncio loop, on the thread that leads.

From Python 3.12 on a task takes its first step when it is made, so an app that never waits has answered before the
next request is read. Before that the loop steps it on its next iteration. In both the app sees a real current_task().

With a maximum, calls beyond it wait, first come, first served, and the end of one starts the next. A call whose client
left while it waited is not made. Conversations that last (WebSockets) neither wait nor count: a few dozen of them would
otherwise keep everybody else out for hours.

A call that timed out is cancelled, as its client is gone, and written off: a task may take its time to end, or be
shielded from cancelling while a thread of its own hangs.

The loop holds tasks weakly; `running` is what keeps them alive, and what a drain waits for. `written_off` keeps the
others, and nobody waits for them.
"""
import asyncio
import sys
from collections import deque

from drawbar.exchange.exchange cimport CALL_RUNNING, CALL_WRITTEN_OFF, Executor, Job
from drawbar.net.reactor cimport ROOM_AMPLE, ROOM_QUEUED, Reactor, TURN_KEPT, Turn

cdef dict EAGER = {"eager_start": True} if sys.version_info >= (3, 12) else {}


cdef class TasksExecutor(Executor):
    """loop: the running event loop. maximum: calls that may run at once; 0: any number. reactor: nested in the loop;
    without room for a call it leaves connections to other processes."""
    cdef object loop
    cdef Reactor reactor
    cdef object make_task
    cdef dict options
    cdef readonly set running
    cdef readonly set written_off
    cdef readonly bint has_written_off  # a call, ever: its task may have ended, and a thread of its own hang
    cdef readonly int maximum
    cdef int counted                # of `running`, those that the maximum is about
    cdef object queue

    def __init__(self, object loop, int maximum=0, Reactor reactor=None):
        self.loop = loop
        self.reactor = reactor
        self.make_task = asyncio.Task
        self.options = dict(EAGER, loop=loop)
        self.running = set()
        self.written_off = set()
        self.maximum = maximum
        self.queue = deque()
        if reactor is not None:
            reactor.page.threads = maximum

    @property
    def waiting(self):
        """Calls waiting for their turn."""
        return len(self.queue)

    def dismiss(self):
        """Lets go of every call that waits: the end has come."""
        cdef Job job
        while self.queue:
            job = self.queue.popleft()
            job.dismiss()

    cdef Turn submit(self, Job job) except *:
        if self.maximum == 0 or job.lasting:
            task = self.make_task(job.coroutine(), **self.options)
            if not task.done():
                job.task = task
                job.call = CALL_RUNNING
                self.running.add(task)
                task.add_done_callback(self.running.discard)
        elif self.counted < self.maximum:
            self._start(job)
            self._note_room()
        else:
            self.queue.append(job)
        return TURN_KEPT

    cdef int _note_room(self) except -1:
        """Tells the reactor whether another call could start."""
        if self.reactor is not None:
            # As if some always waited: a connection may turn out to be a conversation, which needs no room.
            self.reactor.set_room(ROOM_QUEUED if self.counted >= self.maximum else ROOM_AMPLE)
        return 0

    cdef int _start(self, Job job) except -1:
        """Makes a call that counts."""
        # Before its first step, which may end another call, and so start the next.
        self.counted += 1
        try:
            task = self.make_task(job.coroutine(), **self.options)
        except BaseException:
            self.counted -= 1
            raise
        if task.done():
            self.counted -= 1
        else:
            job.task = task
            job.call = CALL_RUNNING
            self.running.add(task)
            task.add_done_callback(self._ended)
        return 0

    cdef int write_off(self, Job job) except -1:
        task = job.task
        if job.call != CALL_RUNNING or task.done():
            return 0
        job.call = CALL_WRITTEN_OFF
        self.has_written_off = True
        self.written_off.add(task)
        task.add_done_callback(self.written_off.discard)
        if self.maximum == 0 or job.lasting:
            self.running.discard(task)
        else:
            task.remove_done_callback(self._ended)
            self._ended(task)
        if asyncio.current_task(self.loop) is not task:
            task.cancel("the request timed out")
        return 0

    def _ended(self, task):
        """A call that counted is over: those that wait take its place."""
        cdef Job job
        self.running.discard(task)
        self.counted -= 1
        while self.queue and self.counted < self.maximum:
            job = self.queue.popleft()
            if not job.wanted():
                job.dismiss()
                continue
            try:
                self._start(job)
            except Exception as error:
                self.loop.call_exception_handler({"message": "a call cannot be made", "exception": error})
                job.dismiss()
        self._note_room()
