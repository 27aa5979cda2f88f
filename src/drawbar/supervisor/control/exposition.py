"""Prometheus' text format, version 0.0.4: families of samples as lines. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from drawbar.supervisor.control.status import Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


def family(name: str, kind: str, about: str, samples: Iterable[Sample]) -> Iterator[str]:
    """One metric: what it is, then its samples. None at all if there are no samples."""
    lines = [f"{name}{_labels(labels)} {number(value)}" for labels, value in samples]
    if lines:
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} {kind}"
        yield from lines


def gauge(name: str, about: str, value: float) -> Iterator[str]:
    return family(name, "gauge", about, [({}, value)])


def counter(name: str, about: str, value: float) -> Iterator[str]:
    return family(name, "counter", about, [({}, value)])


def histogram(name: str, about: str, counted: Histogram) -> Iterator[str]:
    """One without labels."""
    return histograms(name, about, [({}, counted)])


def histograms(name: str, about: str, all_counted: Iterable[tuple[Labels, Histogram]]) -> Iterator[str]:
    """Buckets are cumulative, and the last one counts all. None at all if there are no histograms."""
    lines = [line for labels, counted in all_counted for line in _buckets(name, labels, counted)]
    if lines:
        yield f"# HELP {name} {about}"
        yield f"# TYPE {name} histogram"
        yield from lines


def _buckets(name: str, labels: Labels, counted: Histogram) -> Iterator[str]:
    below = 0
    for bound, count in zip(counted.bounds_s, counted.counts, strict=False):
        below += count
        yield f"{name}_bucket{_labels({**labels, 'le': number(bound)})} {below}"
    yield f"{name}_bucket{_labels({**labels, 'le': '+Inf'})} {counted.count}"
    yield f"{name}_sum{_labels(labels)} {number(counted.sum_s)}"
    yield f"{name}_count{_labels(labels)} {counted.count}"


def number(value: float) -> str:
    """A number as both people and parsers like it: `3`, not `3.0`."""
    return str(int(value)) if value == int(value) else repr(float(value))


def by(label: str, values: Mapping[str, float]) -> list[Sample]:
    """A sample for each value of one label."""
    return [({label: key}, value) for key, value in values.items()]


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
