"""Orders done to a front's queues, and trials of new versions: in a front that the test steps."""

from collections.abc import Iterator
from typing import Any

import pytest

from drawbar.pull.presence import ABSENT_MS as GONE_MS
from drawbar.pull.presence import Presence
from drawbar.pull.queue import Gate
from drawbar.pull.steering import ABSENT_MS, LOOK_MS, Steering
from drawbar.pull.traffic import Judge, Traffic
from tests.support.calls import message
from tests.support.fronts import GET, OK, FrontSite, Worker
from tests.support.pulling import Pulled, problem

BAD = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


class Steered:
    """A front, and who steers it. `told` is what came of trials, `changed` what changed by itself."""

    def __init__(self, site: FrontSite) -> None:
        self.site = site
        self.now = 100.0
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.changed: list[tuple[str, Traffic]] = []
        self.steering = Steering(
            site.front,
            site.reactor,
            clock=lambda: self.now,
            on_judged=lambda *what: self.told.append(what),
            on_changed=lambda *what: self.changed.append(what),
        )

    def want(self, traffic: Traffic) -> None:
        self.steering.want("app", traffic)
        self.site.settle()

    def pass_time(self, ms: int) -> None:
        """In steps in which a trial looks."""
        for _ in range(0, ms, LOOK_MS):
            self.now += LOOK_MS / 1000
            self.site.advance(LOOK_MS / 1000)

    def serve(self, worker: Worker, *answers: bytes) -> None:
        """So many requests by a worker, one after the other."""
        for answer in answers:
            client = self.site.connect()
            client.send(GET)
            worker.serve(answer)
            client.response()
            client.close()


@pytest.fixture
def steered() -> Iterator[Steered]:
    with FrontSite(queue={"length": 1_000}) as site:
        yield Steered(site)


def has_request(worker: Worker) -> bool:
    """Whether one has come to it."""
    return worker.available() != b""


# -- the gate


def test_a_pause_holds_requests_until_its_end(steered: Steered) -> None:
    worker = steered.site.worker()
    steered.want(Traffic().paused())
    client = steered.site.connect()
    client.send(GET)
    assert (steered.site.queue.queued, steered.site.queue.idle) == (1, 1)
    steered.want(Traffic().paused())
    steered.want(Traffic())
    worker.serve()
    assert client.response().body == b"ok"


def test_a_pause_ends_by_itself_when_its_time_is_over(steered: Steered) -> None:
    worker = steered.site.worker()
    steered.want(Traffic().paused(steered.now + 1))
    client = steered.site.connect()
    client.send(GET)
    steered.pass_time(750)
    assert steered.site.queue.gate is Gate.PAUSED
    steered.pass_time(500)
    worker.serve()
    assert client.response().body == b"ok"
    assert steered.changed == [("app", Traffic())]


def test_a_pause_that_was_to_end_before_is_none(steered: Steered) -> None:
    steered.want(Traffic().paused(steered.now - 1))
    steered.pass_time(LOOK_MS)
    assert steered.site.queue.gate is Gate.OPEN


def test_a_stop_turns_away_and_serves_who_waits(steered: Steered) -> None:
    waiting = steered.site.connect()
    waiting.send(GET)
    steered.want(Traffic().stopped("back at noon"))
    client = steered.site.connect()
    client.send(GET)
    answer = client.response()
    assert (answer.status, b"back at noon" in answer.body) == (503, True)
    steered.site.worker().serve()
    assert waiting.response().status == 200


# -- labels


def test_a_label_that_is_held_gets_nothing_until_it_is_let_go(steered: Steered) -> None:
    steered.want(Traffic().holding("v8"))
    worker = steered.site.worker("v8")
    client = steered.site.connect()
    client.send(GET)
    assert not has_request(worker)
    steered.want(Traffic())
    worker.serve()
    assert client.response().status == 200


def test_a_label_that_is_retired_is_sent_away_and_may_come_back(steered: Steered) -> None:
    worker = steered.site.worker("v7")
    steered.want(Traffic(retired=("v7",)))
    assert worker.read_to_end() == b""
    steered.want(Traffic())
    assert steered.site.worker("v7").available() == b""
    assert steered.site.queue.idle == 1


def test_an_app_that_is_not_here_cannot_be_steered(steered: Steered) -> None:
    with pytest.raises(KeyError):
        steered.steering.want("other", Traffic())


# -- trials


def begin(steered: Steered, **judge: Any) -> tuple[Worker, Worker]:
    """The old worker, and the new one that has everything now."""
    old, new = steered.site.worker("v7"), steered.site.worker("v8")
    steered.want(Traffic(held=("v8",)))
    steered.serve(old, OK, OK)
    steered.want(Traffic().on_trial(Judge("v8", "v7", back={"v7": 1.0}, **judge)))
    return old, new


def test_a_version_that_answers_well_is_kept(steered: Steered) -> None:
    old, new = begin(steered, answers=5)
    steered.serve(new, OK, BAD, OK, OK)
    assert steered.told == []
    assert steered.steering.on_trial("app") == {"label": "v8", "answers": 4, "failed": 1, "wanted": 5}
    steered.serve(new, OK)
    assert steered.steering.on_trial("app") is None
    steered.pass_time(LOOK_MS)
    figures = {"kept": True, "answers": 5, "failed": 1, "old": "v7", "old_answers": 2, "old_failed": 0}
    assert steered.told == [("app", "v8", figures)]
    steered.serve(new, *[BAD] * 20)
    assert not has_request(old)
    assert steered.steering.traffic("app") == Traffic(weights={"v8": 1.0})


def test_a_version_that_fails_gets_not_one_request_more(steered: Steered) -> None:
    old, new = begin(steered)
    steered.serve(new, OK, *[BAD] * 6)
    # Before the loop takes another turn for the news.
    steered.serve(old, OK)
    steered.pass_time(LOOK_MS)
    figures = {"kept": False, "answers": 7, "failed": 6, "old": "v7", "old_answers": 2, "old_failed": 0}
    assert steered.told == [("app", "v8", figures)]
    assert steered.steering.traffic("app") == Traffic(weights={"v7": 1.0}, held=("v8",))


def test_who_waits_for_a_version_that_failed_is_served_by_the_old_one(steered: Steered) -> None:
    old, new = begin(steered)
    steered.serve(new, *[BAD] * 5)
    clients = [steered.site.connect() for _ in range(2)]
    for client in clients:
        client.send(GET)
    new.serve(BAD)
    steered.pass_time(LOOK_MS)
    old.serve()
    assert sorted(client.response().status for client in clients) == [200, 500]


def test_an_app_that_is_ill_anyway_may_be_deployed(steered: Steered) -> None:
    old, new = steered.site.worker("v7"), steered.site.worker("v8")
    steered.want(Traffic(held=("v8",)))
    steered.serve(old, BAD, BAD, OK)
    steered.want(Traffic().on_trial(Judge("v8", "v7", answers=10)))
    steered.serve(new, *[BAD] * 9, OK)
    steered.pass_time(LOOK_MS)
    assert steered.told[0][2]["kept"] is True


def test_when_the_time_is_over_what_is_there_decides(steered: Steered) -> None:
    _, new = begin(steered, seconds=2.0)
    steered.serve(new, OK)
    steered.pass_time(1_500)
    assert steered.told == []
    steered.pass_time(750)
    assert steered.told[0][2] | {"answers": 1, "kept": True} == steered.told[0][2]


def test_in_a_pause_nobody_is_judged(steered: Steered) -> None:
    begin(steered, seconds=2.0)
    steered.want(steered.steering.traffic("app").paused())
    steered.pass_time(5_000)
    assert steered.told == []
    steered.want(steered.steering.traffic("app").resumed())
    steered.pass_time(2_500)
    assert steered.told[0][2]["kept"] is True


def test_what_a_version_answers_counts_from_its_first_connection_on(steered: Steered) -> None:
    steered.want(Traffic().on_trial(Judge("v8", "v7", answers=5)))
    new = steered.site.worker("v8")
    # Faster than anybody looks.
    steered.serve(new, *[OK] * 5)
    steered.pass_time(2 * LOOK_MS)
    assert steered.told[0][2]["answers"] == 5


def test_a_version_whose_workers_are_gone_has_failed(steered: Steered) -> None:
    old, new = begin(steered)
    client = steered.site.connect()
    client.send(GET)
    new.close()
    steered.pass_time(ABSENT_MS - LOOK_MS)
    assert steered.told == []
    steered.pass_time(2 * LOOK_MS)
    assert steered.told[0][2]["why"] == "none of its workers is left"
    old.serve()
    assert client.response().status == 200


def test_the_same_order_twice_is_one_trial(steered: Steered) -> None:
    _, new = begin(steered, answers=2)
    steered.serve(new, OK)
    # As the one says it who has not heard yet what this front knows.
    steered.want(Traffic().on_trial(Judge("v8", "v7", back={"v7": 1.0}, answers=2)))
    steered.serve(new, OK)
    steered.pass_time(LOOK_MS)
    assert [figures["answers"] for _, _, figures in steered.told] == [2]


def test_an_order_by_who_has_not_heard_of_the_verdict_is_no_other_trial(steered: Steered) -> None:
    _, new = begin(steered)
    steered.serve(new, *[BAD] * 6)
    steered.want(Traffic().on_trial(Judge("v8", "v7", back={"v7": 1.0})).stopped("back at noon"))
    assert steered.steering.traffic("app") == Traffic(weights={"v7": 1.0}, held=("v8",)).stopped("back at noon")
    # Who has, may have it tried again.
    steered.want(Traffic(weights={"v7": 1.0}, held=("v8",)))
    steered.want(Traffic().on_trial(Judge("v8", "v7", back={"v7": 1.0})))
    steered.serve(new, OK)


def test_another_order_ends_a_trial_without_a_verdict(steered: Steered) -> None:
    old, new = begin(steered)
    steered.want(Traffic().shared({"v7": 1.0, "v8": 1.0}))
    new_label = steered.site.queue.label("v8")
    assert new_label is not None
    assert new_label.on_outcome is None
    steered.pass_time(ABSENT_MS)
    assert steered.told == []
    assert not has_request(old)
    assert not has_request(new)


def test_what_another_front_knew_of_the_old_version_counts(steered: Steered) -> None:
    new = steered.site.worker("v8")
    steered.want(Traffic().on_trial(Judge("v8", "v7", answers=10, known=(50, 40))))
    steered.serve(new, *[BAD] * 10)
    steered.pass_time(LOOK_MS)
    assert steered.told[0][2]["kept"] is True


def test_a_front_that_leaves_keeps_its_workers_whatever_is_ordered(steered: Steered) -> None:
    old, new = begin(steered)
    steered.steering.leave()
    steered.want(Traffic(weights={"v7": 1.0}))
    steered.serve(new, *[BAD] * 10)
    steered.pass_time(LOOK_MS)
    assert steered.told == []
    assert not has_request(old)


# -- workers that poll


def test_a_question_of_a_label_that_is_retired_is_answered_at_once() -> None:
    with Pulled() as pulled:
        steering = Steering(
            pulled.front,
            pulled.reactor,
            clock=lambda: 0.0,
            on_judged=lambda *what: None,
            on_changed=lambda *what: None,
        )
        worker = pulled.worker(message("GET /api/v2/next?label=v7"))
        assert pulled.queue.idle == 1
        steering.want("shop", Traffic(retired=("v7",)))
        assert worker.response().status == 204
        problem(pulled.call("GET /api/v2/next?label=v7"), 409, "retired")


def test_who_asks_is_there_until_it_has_not_asked_for_a_while() -> None:
    with Pulled() as pulled:
        told: list[tuple[str, str, str, int]] = []
        presence = pulled.front.presence = Presence(
            lambda *key: told.append(("came", *key)), lambda *key: told.append(("left", *key))
        )
        for _ in range(2):
            assert pulled.call("GET /api/v2/next?label=v7&wait=0").status == 204
        assert told == [("came", "shop", "v7", 0)]
        pulled.advance(GONE_MS / 1000 + 1)
        presence.sweep(pulled.front.now_ms)
        assert told[1:] == [("left", "shop", "v7", 0)]
