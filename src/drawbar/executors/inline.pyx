# cython: language_level=3
"""One application call at a time, on the thread that leads: the least a request can cost."""
from drawbar.exchange.exchange cimport Executor, Job
from drawbar.net.reactor cimport TURN_KEPT, Turn


cdef class InlineExecutor(Executor):
    """Calls the app where its request was read. Nothing else of this process moves meanwhile."""

    cdef Turn submit(self, Job job) except *:
        job.run()
        return TURN_KEPT
