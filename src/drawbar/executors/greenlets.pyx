# cython: language_level=3
"""Every application call is a greenlet of gevent's hub, on the thread that leads.

Law: the reactor takes its turns on the hub, and so calls are begun there: switching to a new greenlet runs the app
until it waits for something, which switches back to the hub, here. An app that never waits has answered before the
next request is read. A call that ends is on a greenlet of its own, where none can be begun: it asks the hub to.

A call that timed out is killed, as its client is gone, and counts no longer, whenever it ends.

With a maximum, calls beyond it wait, first come, first served. One whose client left while it waited is not made.
"""
from collections import deque

from gevent import Greenlet, get_hub, getcurrent

from drawbar.exchange.exchange cimport CALL_OVER, CALL_RUNNING, CALL_WRITTEN_OFF, Executor, Job
from drawbar.net.reactor cimport ROOM_AMPLE, ROOM_NONE, ROOM_QUEUED, Reactor, TURN_KEPT, Turn


cdef class GreenletsExecutor(Executor):
    """maximum: calls that may run at once; 0: any number. on_ended: called on the hub when the last one has ended."""
    cdef Reactor reactor
    cdef readonly int maximum
    cdef readonly set running
    cdef object queue
    cdef object on_ended
    cdef object soon
    cdef bint looking                   # the hub is asked to look who is next

    def __init__(self, Reactor reactor, int maximum=0, object on_ended=None):
        self.reactor = reactor
        self.maximum = maximum
        reactor.page.threads = maximum
        self.on_ended = on_ended
        self.running = set()
        self.queue = deque()
        self.soon = get_hub().loop.run_callback

    @property
    def waiting(self):
        """Calls waiting for their turn."""
        return len(self.queue)

    cdef Turn submit(self, Job job) except *:
        if self.maximum and (self.queue or len(self.running) >= self.maximum):
            self.queue.append(job)
            self._note_room()
        else:
            self._start(job)
        return TURN_KEPT

    cdef int _start(self, Job job) except -1:
        call = Greenlet(self._call, job)
        job.task = call
        job.call = CALL_RUNNING
        self.running.add(call)
        self._note_room()
        call.switch()
        return 0

    cdef int write_off(self, Job job) except -1:
        call = job.task
        if job.call != CALL_RUNNING or call.dead:
            return 0
        job.call = CALL_WRITTEN_OFF
        self.running.discard(call)
        if call is not getcurrent():
            call.kill(block=False)
        self._ended()
        return 0

    cdef int _note_room(self) except -1:
        """Tells the reactor whether another call could start."""
        if self.maximum:
            if len(self.running) + len(self.queue) < self.maximum:
                self.reactor.set_room(ROOM_AMPLE)
            else:
                self.reactor.set_room(ROOM_QUEUED if self.queue else ROOM_NONE)
        return 0

    def _call(self, Job of_greenlet):
        # Ours: kill() takes the arguments from a greenlet that was begun as these are.
        cdef Job job = of_greenlet
        try:
            job.run()
        except BaseException as error:
            self.reactor.report(error)
        job.task = None
        job.call = CALL_OVER
        self.running.discard(getcurrent())
        self._ended()

    cdef int _ended(self) except -1:
        self._note_room()
        if not self.looking and (self.queue or not self.running and self.on_ended is not None):
            self.looking = True
            self.soon(self._look)
        return 0

    def _look(self):
        """On the hub, after the end of a call: those that wait take its place."""
        cdef Job job
        self.looking = False
        while self.queue and len(self.running) < self.maximum:
            job = self.queue.popleft()
            if job.wanted():
                self._start(job)
            else:
                job.dismiss()
        self._note_room()
        if not self.running and self.on_ended is not None:
            self.on_ended()
