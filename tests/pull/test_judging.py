"""Whether a new version is worse: the rule, and what it promises of any figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.pull.judging import FEWEST, REMEMBERED, TIMES, TOLERATED, Score, Verdict, is_worse, judge, last_outcomes


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (Score(50, 0), Score(50, 0), False),
        (Score(50, 5), Score(50, 0), False),  # a tenth is borne
        (Score(50, 6), Score(50, 0), True),
        (Score(50, 15), Score(50, 5), False),  # three times as many: of an app that is ill anyway
        (Score(50, 16), Score(50, 5), True),
        (Score(50, 50), Score(50, 50), False),
        (Score(2, 2), Score(), False),  # nothing hangs on two requests
        (Score(3, 3), Score(), True),
    ],
)
def test_worse_is_clearly_worse(new: Score, old: Score, expected: bool) -> None:
    assert is_worse(new, old) is expected


@pytest.mark.parametrize(
    ("new", "flags", "expected"),
    [
        (Score(), {}, Verdict.OPEN),
        (Score(49, 0), {}, Verdict.OPEN),
        (Score(50, 0), {}, Verdict.KEPT),
        (Score(6, 5), {}, Verdict.OPEN),  # 45 good ones to come would make a tenth of it
        (Score(6, 6), {}, Verdict.FAILED),
        (Score(0, 0), {"is_over": True}, Verdict.KEPT),  # nobody came: nothing is known against it
        (Score(4, 3), {"is_over": True}, Verdict.FAILED),
        (Score(0, 0), {"is_absent": True}, Verdict.FAILED),
    ],
)
def test_a_verdict_comes_as_soon_as_it_is_certain(new: Score, flags: dict[str, bool], expected: Verdict) -> None:
    assert judge(new, Score(50, 0), 50, **flags) is expected


def test_the_last_outcomes_are_read_from_the_lowest_bits() -> None:
    assert last_outcomes(0b1011, 3) == Score(3, 2)
    assert last_outcomes(2**64 - 1, 10**6) == Score(REMEMBERED, REMEMBERED)
    assert last_outcomes(0, 0) == Score()


OUTCOMES = st.lists(st.booleans(), min_size=1, max_size=200)


@st.composite
def scores(draw: st.DrawFn) -> Score:
    outcomes = draw(st.integers(0, 200))
    return Score(outcomes, draw(st.integers(0, outcomes)))


@given(scores(), scores())
def test_no_version_is_sent_back_for_what_the_old_one_does_too(new: Score, old: Score) -> None:
    if is_worse(new, old):
        assert new.bad >= FEWEST
        assert new.share > TOLERATED
        assert new.share > old.share * TIMES or old.share == 0
    elif new.bad >= FEWEST:
        assert new.share <= max(TOLERATED, old.share * TIMES)


@given(OUTCOMES, scores(), st.integers(1, 100))
def test_an_early_verdict_is_the_one_that_all_of_them_would_have_brought(
    outcomes: list[bool], old: Score, answers: int
) -> None:
    for count in range(answers):
        so_far = Score(count, sum(outcomes[:count])) if count <= len(outcomes) else None
        if so_far is None:
            return
        if judge(so_far, old, answers) is Verdict.FAILED:
            # However many of the rest are good.
            for rest in (0, answers - count):
                assert judge(Score(answers, so_far.bad + rest), old, answers) is Verdict.FAILED
            return
        assert judge(so_far, old, answers) is Verdict.OPEN


@given(scores(), scores(), st.integers(1, 100))
def test_one_more_bad_outcome_never_saves_a_version(new: Score, old: Score, answers: int) -> None:
    if judge(new, old, answers, is_over=True) is Verdict.FAILED:
        assert judge(Score(new.outcomes + 1, new.bad + 1), old, answers, is_over=True) is Verdict.FAILED
