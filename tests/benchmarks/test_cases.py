"""The tables agree with one another: every name in one is a row of the next."""

import pytest

from benchmarks import apps, cases, process, servers
from benchmarks.cases import Case, Highlight, Target


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_servers_and_applications_of_a_case_exist(case: Case) -> None:
    for server in servers.chosen(case.servers, ()):
        assert server.interface == "static" or hasattr(apps, process.app_name(server, case.app))
    assert case.reference is None or case.reference in case.servers


@pytest.mark.parametrize("target", cases.targets((3, 11)), ids=lambda target: f"{target.case} {target.text}")
def test_targets_ask_for_what_their_case_measures(target: Target) -> None:
    [case] = cases.chosen([target.case])
    assert {target.server, *target.others} <= set(case.servers)
    assert target.metric in {metric.key for metric in case.metrics}


@pytest.mark.parametrize("highlight", cases.HIGHLIGHTS, ids=lambda highlight: highlight.text)
def test_highlights_show_what_their_case_measures(highlight: Highlight) -> None:
    [case] = cases.chosen([highlight.case])
    assert highlight.server in case.servers
    assert highlight.metric in case.metrics
    assert set(highlight.peers) <= servers.BY_NAME.keys()


@pytest.mark.parametrize(("python", "bound"), [((3, 11), 0.70), ((3, 12), 0.45), ((3, 13), 0.45)])
def test_asgi_bound_follows_the_python_version(python: tuple[int, int], bound: float) -> None:
    assert [target.bound for target in cases.targets(python) if target.case == "asgi-hello"] == [bound]


def test_servers_are_chosen_by_name_or_family_in_the_case_s_order() -> None:
    names = ("nginx", "drawbar", "drawbar-1:8", "bjoern", "granian")
    assert [server.name for server in servers.chosen(names, ["bjoern", "drawbar"])] == [
        "drawbar",
        "drawbar-1:8",
        "bjoern",
    ]


def test_unknown_names_are_told() -> None:
    with pytest.raises(KeyError, match="apache"):
        servers.chosen(("nginx",), ["apache"])
    with pytest.raises(KeyError, match="http2"):
        cases.chosen(["http2"])
