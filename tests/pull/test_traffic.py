"""What an operator wants of an app's requests, and how it changes."""

import msgspec
import pytest

from drawbar.pull.labels import MOST_LABELS as MOST_LABELS_OF_A_QUEUE
from drawbar.pull.traffic import MOST_LABELS, Judge, Traffic

V8 = Judge("v8", "v7", back={"v7": 1.0})


def test_without_orders_it_is_usual() -> None:
    assert Traffic().is_usual()
    assert not Traffic().paused().is_usual()
    assert Traffic().paused(7.5).resumed() == Traffic()
    assert Traffic().stopped("back at noon").resumed() == Traffic()


def test_a_stop_ends_a_pause_and_the_other_way_round() -> None:
    assert Traffic().paused(7.5).stopped("gone") == Traffic(gate="stopped", message="gone")
    assert Traffic().stopped("gone").paused(7.5) == Traffic(gate="paused", until=7.5)


def test_who_has_a_share_is_neither_held_nor_retired() -> None:
    before = Traffic(held=("v7", "v8"), retired=("v6",))
    assert before.shared({"v6": 1.0, "v7": 9.0}) == Traffic(weights={"v6": 1.0, "v7": 9.0}, held=("v8",))
    assert before.shared(None) == before


def test_a_label_is_held_once_and_let_go() -> None:
    held = Traffic(retired=("v8",)).holding("v8").holding("v8")
    assert held == Traffic(held=("v8",))
    assert held.letting_go("v8") == Traffic()


def test_on_trial_a_version_has_everything() -> None:
    trial = Traffic(weights={"v7": 1.0}).holding("v8").on_trial(V8)
    assert trial == Traffic(weights={"v8": 1.0}, judge=V8)
    assert trial.judged(kept=True) == Traffic(weights={"v8": 1.0})


def test_a_version_that_failed_is_held_and_the_shares_are_as_before() -> None:
    trial = Traffic().on_trial(V8)
    assert trial.judged(kept=False) == Traffic(weights={"v7": 1.0}, held=("v8",))
    alike = Traffic().on_trial(Judge("v8", "v7"))
    assert alike.judged(kept=False) == Traffic(held=("v8",))


def test_another_order_ends_a_trial() -> None:
    assert Traffic().on_trial(V8).shared({"v8": 1.0}).judge is None
    assert Traffic().judged(kept=False) == Traffic()


@pytest.mark.parametrize(
    "text",
    [
        '{"gate": "shut"}',
        '{"weights": {}}',
        '{"weights": {"v7": 0}}',
        '{"weights": {"v7": -1}}',
        '{"wieghts": {"v7": 1}}',
        '{"message": "' + "x" * 501 + '"}',
        '{"held": [' + ", ".join(f'"{n}"' for n in range(65)) + "]}",
        '{"judge": {"new": "v8", "old": "v7", "answers": 0}}',
        '{"judge": {"new": "v8"}}',
    ],
)
def test_what_makes_no_sense_cannot_be_made(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Traffic)


def test_it_is_as_it_was_after_a_journey() -> None:
    traffic = Traffic("paused", 12.5, weights={"": 1.0, "v7": 3.0}, retired=("v6",), judge=V8)
    assert msgspec.json.decode(msgspec.json.encode(traffic), type=Traffic) == traffic


def test_there_are_as_many_labels_as_a_queue_knows() -> None:
    assert MOST_LABELS == MOST_LABELS_OF_A_QUEUE
