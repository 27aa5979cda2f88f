"""Limits that go together."""

import pytest

from drawbar.config import LimitsConfig


@pytest.mark.parametrize(("low", "contradicts"), [(1023, False), (1024, True), (1025, True)])
def test_water_marks_are_in_order(low: int, contradicts: bool) -> None:
    conflicts = list(LimitsConfig(output_low_bytes=low, output_high_bytes=1024).conflicts())
    assert bool(conflicts) is contradicts
    assert all(conflict.fields == ("output_low_bytes", "output_high_bytes") for conflict in conflicts)
