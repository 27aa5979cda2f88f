"""In which order a front and the workers behind it begin, are renewed and end: a real master and real processes."""

import json
import signal
from pathlib import Path
from typing import Any

from drawbar.supervisor.split import ONLY
from tests.supervisor.harness import Serving

ONE: dict[str, Any] = {"app": {"target": "good:app"}}
TWO: dict[str, Any] = {"apps": {"one": {"target": "good:app"}, "two": {"target": "good:app", "prefix": "/2"}}}
DEBUG = {"level": "debug"}


def events(serving: Serving, count: int) -> list[str]:
    """The next ones, without the processes that told them."""
    return [serving.events.until(lambda line: True).rpartition(" ")[0] for _ in range(count)]


def start(options: dict[str, Any], **more: Any) -> Serving:
    return Serving("front", **{"log": DEBUG, **options, **more})


def test_the_front_begins_when_its_only_application_has() -> None:
    with start(ONE) as serving:
        assert events(serving, 2) == [f"ready {ONLY}", "ready front"]
        serving.logged("serving good:app on .*, a front and 1 worker")
        assert serving.stop() == 0


def test_the_front_ends_before_its_workers_are_told() -> None:
    with start(ONE, server={"workers": 2}) as serving:
        serving.logged("serving")
        assert sorted(events(serving, 3)) == ["ready app", "ready app", "ready front"]
        assert serving.stop() == 0
        assert events(serving, 3) == ["stopping front", "stopping app", "stopping app"]


def test_workers_are_told_when_a_front_that_does_not_stop_is_killed() -> None:
    with start(ONE, server={"server_header": "deaf"}, timing={"graceful_s": 0.05}) as serving:
        serving.logged("serving")
        assert serving.stop() == 0
        assert events(serving, 4)[2:] == ["stopping front", "stopping app"]
        serving.logged("front .* did not stop within 0.05 s: killed")


def test_workers_that_do_not_stop_are_killed_in_their_turn() -> None:
    timing = {"graceful_s": 0.05, "hurry_s": 0.01}
    with start({"app": {"target": "deaf:app"}}, timing=timing) as serving:
        serving.logged("serving")
        assert serving.stop() == 0
        assert events(serving, 4)[2:] == ["stopping front", "stopping app"]
        serving.logged("app worker 1 .* did not stop within .*: killed")


def test_an_only_application_that_cannot_start_ends_the_server_before_there_is_a_front() -> None:
    with start({"app": {"target": "bad:app"}}) as serving:
        serving.logged("a bad application")
        assert serving.wait() == 2
        assert serving.events.rest()[0].startswith("failing app")
        assert len(serving.events.seen) == 1


def test_a_front_that_cannot_start_takes_the_workers_along() -> None:
    with start(ONE, server={"server_header": "bad"}) as serving:
        serving.logged("a bad front")
        assert serving.wait() == 2
        assert events(serving, 3) == ["ready app", "failing front", "stopping app"]


def test_of_several_applications_those_that_can_start_serve() -> None:
    apps = {"one": {"target": "good:app"}, "two": {"target": "bad:app", "prefix": "/2"}}
    with start({"apps": apps}, timing={"backoff_first_s": 600.0, "backoff_cap_s": 600.0}) as serving:
        serving.logged(r"two worker 1 .* could not start: a bad application; next attempt in 600.0 s")
        serving.logged(r"front on .* for one \(1 worker\), two \(no worker has started\)")
        assert serving.stop() == 0


def test_a_reload_renews_the_front_first() -> None:
    with start(TWO) as serving:
        serving.logged("front on")
        events(serving, 3)
        serving.signal(signal.SIGHUP)
        assert events(serving, 2) == ["ready front", "stopping front"]
        assert sorted(events(serving, 4)) == ["ready one", "ready two", "stopping one", "stopping two"]
        serving.logged("reloaded: 3 workers of generation 2")
        assert serving.stop() == 0


def test_a_front_that_does_not_start_leaves_the_applications_alone(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    file.write_text(json.dumps({"server": {"server_header": "bad"}}))
    with start(ONE, reread=str(file)) as serving:
        serving.logged("serving")
        events(serving, 2)
        serving.signal(signal.SIGHUP)
        serving.logged("a bad front; waiting for the next change, the former worker serves on")
        file.write_text("{}")
        serving.signal(signal.SIGHUP)
        assert events(serving, 5) == ["failing front", "ready front", "stopping front", "ready app", "stopping app"]
        serving.logged("reloaded")
        assert serving.stop() == 0


def test_an_application_that_does_not_start_goes_back_alone(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    apps = {"one": {"target": "good:app"}, "two": {"target": "bad:app", "prefix": "/2", "workers": 2}}
    file.write_text(json.dumps({"apps": apps}))
    with start(TWO, reread=str(file)) as serving:
        serving.logged("front on")
        events(serving, 3)
        serving.signal(signal.SIGHUP)
        serving.logged("two: the last reload failed, the former workers serve on: a bad application")
        seen = events(serving, 4)
        assert seen[:2] == ["ready front", "stopping front"]
        assert "stopping two" not in seen
        # What it goes back to has one worker, and that is the former one.
        assert serving.stop() == 0
        assert sum(event.startswith("stopping two") for event in serving.events.rest()) == 1


def test_applications_come_and_go_with_a_reload(tmp_path: Path) -> None:
    file = tmp_path / "options.json"
    apps = {"two": TWO["apps"]["two"], "three": {"target": "good:app", "prefix": "/3"}}
    file.write_text(json.dumps({"apps": apps}))
    with start(TWO, reread=str(file)) as serving:
        serving.logged("front on")
        events(serving, 3)
        serving.signal(signal.SIGHUP)
        serving.logged("reloaded: 3 workers")
        assert events(serving, 2) == ["ready front", "stopping front"]
        assert sorted(events(serving, 4)) == ["ready three", "ready two", "stopping one", "stopping two"]
        assert serving.stop() == 0


def test_more_workers_are_more_of_the_application() -> None:
    with start(ONE) as serving:
        serving.logged("serving")
        events(serving, 2)
        serving.signal(signal.SIGTTIN)
        assert events(serving, 1) == ["ready app"]
        serving.signal(signal.SIGTTOU)
        assert events(serving, 1) == ["stopping app"]
        assert serving.stop() == 0


def test_of_several_applications_a_signal_does_not_say_which() -> None:
    with start(TWO) as serving:
        serving.logged("front on")
        serving.signal(signal.SIGTTIN)
        serving.logged("SIGTTIN: several applications have workers; .*--app NAME, of one, two")
        assert serving.stop() == 0
