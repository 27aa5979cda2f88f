"""Plain values read off the shared page."""

from drawbar.net.figures import BOUNDS_S, Histogram


def test_a_histogram_adds_up_towards_infinity() -> None:
    buckets = [0] * (len(BOUNDS_S) + 1)
    buckets[0], buckets[3], buckets[-1] = 2, 5, 1
    histogram = Histogram(tuple(buckets), 70.0)
    pairs = histogram.cumulative()
    assert pairs[0] == (0.0001, 2)
    assert pairs[3] == (0.001, 7)
    assert pairs[-2] == (60.0, 7)
    assert pairs[-1] == (float("inf"), 8)
    assert histogram.observations == 8


def test_bounds_grow() -> None:
    assert list(BOUNDS_S) == sorted(set(BOUNDS_S))
