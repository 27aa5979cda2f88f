"""What a front's queues count, in Prometheus' text format. Pure.

A front counts from its own start: after a reload, an upgrade or a crash its counters begin anew, which rate() and
increase() know how to take. No series names a worker.
"""

from collections.abc import Iterator

from drawbar.supervisor.control.exposition import Sample, family, gauge, histograms
from drawbar.supervisor.control.status import Front, Queue

GATES = ("open", "paused", "closed")
OUTCOMES = (
    "answered",
    "abandoned",
    "queued_too_long",
    "past_deadline",
    "broken",
    "refused_length",
    "refused_bytes",
    "refused_stopped",
)
"""Counters that each request is in one of, at its end."""
OF_LABELS = {
    "drawbar_app_given_total": ("given", "Requests given to workers of that label; one may be given more than once."),
    "drawbar_app_failed_total": ("failed", "Answers of workers of that label that count as failures."),
    "drawbar_app_lost_total": ("lost", "Requests whose worker was lost, or too late."),
}


def queue_lines(front: Front) -> Iterator[str]:
    """All families, the queues of all applications in each."""
    queues = front.queues
    yield from gauge("drawbar_front_answers", "1 if the front answered this scrape.", float(front.silent is None))
    yield from _now(queues)
    yield from _ever(queues)
    about = "Until all of a request was here that its worker is given."
    yield from histograms("drawbar_app_client_seconds", about, [(_of(queue), queue.client) for queue in queues])
    about = "From then until the worker that answered had it, or its end without one."
    yield from histograms("drawbar_app_queue_seconds", about, [(_of(queue), queue.queue) for queue in queues])
    about = "From then to the last byte of the answer."
    yield from histograms("drawbar_app_worker_seconds", about, [(_of(queue), queue.called) for queue in queues])


def _of(queue: Queue) -> dict[str, str]:
    return {"app": queue.app}


def _now(queues: list[Queue]) -> Iterator[str]:
    ready = "1 while a request that came now would meet a worker."
    yield from family("drawbar_app_ready", "gauge", ready, [(_of(queue), float(queue.ready)) for queue in queues])
    gates: list[Sample] = [
        ({"app": queue.app, "gate": gate}, float(queue.gate == gate)) for queue in queues for gate in GATES
    ]
    yield from family("drawbar_app_gate", "gauge", "1 for the state that the queue is in.", gates)
    queued: list[Sample] = [(_of(queue), queue.queued) for queue in queues]
    yield from family("drawbar_app_queued", "gauge", "Requests that wait for a worker.", queued)
    limits: list[Sample] = [(_of(queue), queue.length) for queue in queues]
    yield from family("drawbar_app_queued_limit", "gauge", "Requests that may wait.", limits)
    held: list[Sample] = [(_of(queue), queue.queued_bytes) for queue in queues]
    yield from family("drawbar_app_queued_bytes", "gauge", "Memory of requests that wait.", held)
    oldest: list[Sample] = [(_of(queue), queue.oldest_s) for queue in queues]
    yield from family("drawbar_app_oldest_seconds", "gauge", "The longest wait there is.", oldest)
    running: list[Sample] = [
        ({"app": queue.app, "label": label.label}, label.leased) for queue in queues for label in queue.labels
    ]
    yield from family("drawbar_app_running", "gauge", "Requests that workers have.", running)
    room: list[Sample] = [
        ({"app": queue.app, "label": label.label}, label.idle) for queue in queues for label in queue.labels
    ]
    yield from family("drawbar_app_room", "gauge", "Places of workers that wait for a request.", room)


def _ever(queues: list[Queue]) -> Iterator[str]:
    ended: list[Sample] = [
        ({"app": queue.app, "outcome": outcome}, queue.counters.get(outcome, 0))
        for queue in queues
        for outcome in OUTCOMES
    ]
    yield from family("drawbar_app_requests_total", "counter", "Requests, by what became of them.", ended)
    for name, (counter, about) in OF_LABELS.items():
        samples: list[Sample] = [
            ({"app": queue.app, "label": label.label}, getattr(label, counter))
            for queue in queues
            for label in queue.labels
        ]
        yield from family(name, "counter", about, samples)
