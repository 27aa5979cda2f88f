# cython: language_level=3
"""Every application call is a task of one asyncio loop, on the thread that leads.

From Python 3.12 on a task takes its first step when it is made, so an app that never waits has answered before the
next request is read. Before that the loop steps it on its next iteration. In both the app sees a real current_task().

The loop holds tasks weakly; `running` is what keeps them alive, and what a drain waits for.
"""
import asyncio
import sys

from drawbar.exchange.exchange cimport Executor, Job
from drawbar.net.reactor cimport TURN_KEPT, Turn

cdef dict EAGER = {"eager_start": True} if sys.version_info >= (3, 12) else {}


cdef class TasksExecutor(Executor):
    """loop: the running event loop the reactor is nested in."""
    cdef object loop
    cdef object make_task
    cdef dict options
    cdef readonly set running

    def __init__(self, object loop):
        self.loop = loop
        self.make_task = asyncio.Task
        self.options = dict(EAGER, loop=loop)
        self.running = set()

    cdef Turn submit(self, Job job) except *:
        task = self.make_task(job.coroutine(), **self.options)
        if not task.done():
            self.running.add(task)
            task.add_done_callback(self.running.discard)
        return TURN_KEPT
