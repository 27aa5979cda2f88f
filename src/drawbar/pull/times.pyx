# cython: language_level=3
"""How long the requests of one app waited, took, and were on their way.

Law: each request of which the end is known counts once, when that comes, by the stamps of its exchange; the three add
up to what it took in all. Conversations that last, as WebSockets do, have a wait and no length.
"""
from drawbar.exchange.exchange cimport Exchange
from drawbar.net.scoreboard cimport BUCKETS, Histogram, observe

from drawbar.net.figures import Histogram as HistogramFigures


cdef object _figures(const Histogram* histogram):
    return HistogramFigures(tuple([histogram.buckets[i] for i in range(BUCKETS)]), histogram.sum_ns / 1e9)


cdef class Times:
    """Three histograms; nothing is counted to begin with."""

    cdef void add(self, Exchange exchange) noexcept:
        if not exchange.done_ns or not exchange.ready_ns:
            return
        if exchange.ready_ns == exchange.accepted_ns:
            # Most have no body, and this runs for each.
            self.client.buckets[0] += 1
        else:
            observe(&self.client, exchange.ready_ns - exchange.accepted_ns)
        if not exchange.called_ns:
            observe(&self.queue, exchange.done_ns - exchange.ready_ns)
            return
        observe(&self.queue, exchange.called_ns - exchange.ready_ns)
        if exchange.status != 101:
            observe(&self.app, exchange.done_ns - exchange.called_ns)

    def figures(self):
        """By name, as drawbar.net.figures.Histogram: client, queue, app."""
        return {"client": _figures(&self.client), "queue": _figures(&self.queue), "app": _figures(&self.app)}
