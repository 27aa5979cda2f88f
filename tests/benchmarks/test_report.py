"""Medians, verdicts, the stored form and the Markdown."""

import math

import pytest

from benchmarks import cases, report
from benchmarks.cases import Target
from benchmarks.report import CaseResult, Results, ServerResult

MACHINE = {"processor": "Acme One, 2 cores"}


def hello(**cpu_us: list[float]) -> CaseResult:
    """A wsgi-hello result with these costs."""
    servers = {
        name: ServerResult(
            [{"cpu_us": us, "rps": 1e6 / us, "p50_ms": 0.5, "p99_ms": 1.5, "pss_mb": 10} for us in costs]
        )
        for name, costs in cpu_us.items()
    }
    return CaseResult("2026-11-21", 3, 2, servers)


def run(python: str = "3.11.2", **found: CaseResult) -> Results:
    """Results with these cases, dashes for underscores in their names."""
    return Results(python, MACHINE, {"nginx": "1.22.1"}, {name.replace("_", "-"): case for name, case in found.items()})


def at_most(bound: float, *others: str) -> Target:
    """A target for the cost of `drawbar`."""
    return Target("cost", "wsgi-hello", "drawbar", "cpu_us", "<=", bound, "x", others)


def test_median_and_spread_over_rounds() -> None:
    result = hello(nginx=[6.0, 9.0, 8.0]).servers["nginx"]
    assert result.median("cpu_us") == 8.0
    assert result.spread("cpu_us") == pytest.approx(3 / 8)


@pytest.mark.parametrize(("drawbar", "met"), [(6.6, True), (6.7, False)])
def test_ratio_to_a_reference(drawbar: float, met: bool) -> None:
    verdict = report.judge(at_most(1.1001, "nginx"), hello(nginx=[6.0], drawbar=[drawbar]))
    assert verdict.measured == pytest.approx(drawbar / 6)
    assert verdict.met is met


def test_ratio_to_the_best_of_several_peers() -> None:
    verdict = report.judge(at_most(1, "bjoern", "granian", "waitress"), hello(bjoern=[7], granian=[12], drawbar=[14]))
    assert verdict.measured == 2
    assert verdict.met is False


def test_ratios_are_of_servers_that_ran_in_the_same_round() -> None:
    slower_by_the_round = hello(nginx=[1, 2, 4], drawbar=[1.1, 2.2, 4.4])
    assert slower_by_the_round.ratio("drawbar", ("nginx",), "cpu_us") == pytest.approx(1.1)
    assert hello(nginx=[1, 2, 10], drawbar=[2, 1, 10]).ratio("drawbar", ("nginx",), "cpu_us") == 1
    assert hello(nginx=[1, 2], drawbar=[2, 1, 10]).ratio("drawbar", ("nginx",), "cpu_us") is None


def test_what_a_server_has_more_than_another() -> None:
    target = Target("hop", "wsgi-hello", "drawbar", "cpu_us", "<=", 60, "more", ("nginx",), more=True)
    slower_by_the_round = hello(nginx=[10, 20, 300], drawbar=[70, 79, 361])
    assert report.judge(target, slower_by_the_round).measured == 60
    assert report.judge(target, slower_by_the_round).met is True
    assert report.judge(target, hello(nginx=[10], drawbar=[71])).met is False


def test_absolute_bound() -> None:
    assert report.judge(at_most(14), hello(drawbar=[14])).met is True
    assert report.judge(at_most(13.9), hello(drawbar=[14])).met is False


@pytest.mark.parametrize("result", [None, hello(nginx=[6]), hello(drawbar=[6])])
def test_what_was_not_measured_is_neither_met_nor_missed(result: CaseResult | None) -> None:
    verdict = report.judge(at_most(1, "nginx"), result)
    assert verdict.measured is None
    assert verdict.met is None


def test_what_never_came_misses_its_bound() -> None:
    verdict = report.judge(at_most(1), hello(drawbar=[math.inf]))
    assert verdict.met is False


def test_json_keeps_everything_and_infinity() -> None:
    before = run(wsgi_hello=hello(nginx=[6.0, math.inf]))
    before.cases["wsgi-hello"].servers["drawbar"] = ServerResult([], "no answer")
    stored = report.to_json([before])
    assert "Infinity" not in stored
    assert report.from_json(stored) == {"3.11": before}


def test_cases_not_run_again_keep_their_figures() -> None:
    older = run(wsgi_hello=hello(nginx=[6]), browser=hello(nginx=[7]))
    merged = run(browser=hello(nginx=[8])).merged_into(older)
    assert merged.cases["wsgi-hello"] == older.cases["wsgi-hello"]
    assert merged.cases["browser"].median("nginx", "cpu_us") == 8


def test_another_machine_s_figures_are_not_kept() -> None:
    older = Results("3.11.2", {"processor": "another"}, {}, {"browser": hello(nginx=[7])})
    assert run(wsgi_hello=hello(nginx=[6])).merged_into(older).cases.keys() == {"wsgi-hello"}


def test_case_is_ranked_with_ratios_and_failures_below() -> None:
    result = hello(nginx=[6.0, 6.0], drawbar=[9.0, 9.0], bjoern=[7.5, 7.5])
    result.servers["fastwsgi"] = ServerResult([], "no answer")
    [case] = cases.chosen(["wsgi-hello"])
    text = report.render_case(case, result)
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:] == [
        "nginx",
        "bjoern",
        "drawbar",
    ]
    assert "| drawbar |           9.00 |    1.50 |    0 % |    111,111 |   0.50 |   1.50 |   10.0 |" in text
    assert "- fastwsgi failed: no answer" in text


def test_chapters_are_in_the_order_of_versions() -> None:
    text = report.render([run("3.13.0"), run("3.9.1"), run("3.11.2")])
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Python 3.9.1",
        "## Python 3.11.2",
        "## Python 3.13.0",
    ]
    assert "- processor: Acme One, 2 cores" in text


def test_targets_name_what_is_met_missed_and_missing() -> None:
    text = report.render([run(wsgi_hello=hello(**{"nginx": [6.0], "drawbar": [6.0], "drawbar-1:8": [9.0]}))])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "x nginx" in line]
    assert ["WSGI hello, inline", "wsgi-hello", "drawbar", "<= 1.1 x nginx", "1.00", "yes"] in rows
    assert ["WSGI hello, threads 1:8", "wsgi-hello", "drawbar-1:8", "<= 1.3 x nginx", "1.50", "**no**"] in rows
    assert "not measured" in text


def test_large_infinite_and_small_numbers_are_readable() -> None:
    assert report.shown(151234.4, 0) == "151,234"
    assert report.shown(math.inf, 2) == "not in time"
    assert report.shown(0.054, 2) == "0.05"


def test_readme_shows_the_best_peer_and_leaves_out_what_was_not_measured() -> None:
    text = report.highlights([run(wsgi_hello=hello(nginx=[6], drawbar=[6.25], bjoern=[8], granian=[7]))])
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[2:] == [["WSGI hello, CPU µs/request", "6.25", "6.00", "7.00 (granian)"]]


def test_readme_is_replaced_between_its_marks_only() -> None:
    text = "before\n<!-- figures:begin: why -->\nold\n<!-- figures:end -->\nafter\n"
    assert report.between_marks(text, "new\n") == text.replace("old", "new")


@pytest.mark.parametrize("text", ["", "<!-- figures:begin -->\n", "<!-- figures:end -->\n"])
def test_readme_without_marks_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="figures:begin"):
        report.between_marks(text, "new")
