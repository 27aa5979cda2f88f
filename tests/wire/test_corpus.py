"""Every case of the corpus: fed whole, byte by byte and in random pieces, and held against httptools and h11."""

import tomllib
from pathlib import Path

import pytest

from drawbar.wire.events import Refused
from tests.wire.cases import GROUPS, Case, all_cases, events_of, expectations, splits, told
from tests.wire.oracles import h11_verdict, httptools_verdict, ours

DIFFERENCES = Path(__file__).parent / "differences.toml"
EXPECTED = {group: expectations(group) for group in GROUPS}
CASES = all_cases()


def test_every_case_is_expected_and_every_expectation_has_a_case() -> None:
    assert {(case.group, case.name) for case in CASES} == {
        (group, name) for group in GROUPS for name in EXPECTED[group]
    }


@pytest.mark.parametrize("case", CASES, ids=str)
def test_events_whole_and_in_pieces(case: Case) -> None:
    for pieces in splits(case.raw, seed=str(case)):
        events = events_of(pieces, case.role, case.request_method)
        assert told(events) == EXPECTED[case.group][case.name], pieces


@pytest.mark.parametrize("case", CASES, ids=str)
def test_valid_is_accepted_and_invalid_refused(case: Case) -> None:
    events = events_of([case.raw], case.role, case.request_method)
    assert any(isinstance(event, Refused) for event in events) == case.group.endswith("/invalid")


def test_differences_from_other_parsers_are_the_reviewed_ones() -> None:
    found = set()
    for case in CASES:
        verdict = ours(case)
        for parser, theirs in (("httptools", httptools_verdict(case)), ("h11", h11_verdict(case))):
            if theirs != verdict:
                found.add((parser, str(case), theirs.partition(" ")[0]))
    assert found == _reviewed()


def _reviewed() -> set[tuple[str, str, str]]:
    with DIFFERENCES.open("rb") as file:
        differences = tomllib.load(file)["difference"]
    assert all(difference["reason"] for difference in differences)
    return {(each["parser"], name, each["verdict"]) for each in differences for name in each["cases"]}
