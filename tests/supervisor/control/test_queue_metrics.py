"""What a front's queues count, read by the parser of the official client."""

from prometheus_client.parser import text_string_to_metric_families

from drawbar.supervisor.control.queue_metrics import OUTCOMES, queue_lines
from drawbar.supervisor.control.status import Front
from tests.support.statuses import front


def samples(told: Front) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    text = "".join(f"{line}\n" for line in queue_lines(told))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_figure_of_an_app() -> None:
    found = samples(front())
    shop = (("app", "shop"),)
    assert found["drawbar_front_answers", ()] == 1
    assert found["drawbar_app_queued", shop] == 3
    assert found["drawbar_app_queued_limit", shop] == 1_000
    assert found["drawbar_app_oldest_seconds", shop] == 1.5
    assert found["drawbar_app_ready", (("app", "blog"),)] == 0
    assert found["drawbar_app_gate", (("app", "blog"), ("gate", "paused"))] == 1
    v8 = (("app", "shop"), ("label", "v8"))
    assert [found[name, v8] for name in ("drawbar_app_running", "drawbar_app_room")] == [2, 1]
    assert [found[f"drawbar_app_{name}_total", v8] for name in ("given", "failed", "lost")] == [100, 2, 1]
    assert found["drawbar_app_requests_total", (("app", "shop"), ("outcome", "answered"))] == 1_000
    for outcome in OUTCOMES:
        assert ("drawbar_app_requests_total", (("app", "blog"), ("outcome", outcome))) in found
    for name, sum_s in (("client", 0.0), ("queue", 2.0), ("worker", 20.0)):
        assert found[f"drawbar_app_{name}_seconds_sum", shop] == sum_s
        assert found[f"drawbar_app_{name}_seconds_count", shop] == 1_000
        assert found[f"drawbar_app_{name}_seconds_bucket", (("app", "shop"), ("le", "+Inf"))] == 1_000


def test_a_front_that_does_not_answer_is_seen() -> None:
    assert samples(Front(silent="the front does not answer within 1 s")) == {("drawbar_front_answers", ()): 0}
