"""A drawbar.toml in the making."""

import pytest

from drawbar.cli.importing.draft import Draft, Missing, Needless, Off, Rule, Said, To, Verdict
from tests.cli.importing.imported import Imported

RULES: dict[str, Rule] = {
    "workers": To("server.workers"),
    "level": To("log.level", lambda value: str(value).lower(), "in lower case"),
    "gone": Needless("it is done anyway"),
    "other": Missing("do it elsewhere"),
    "switch": Off(Missing("leave it off")),
}


def said(name: str, value: object) -> Said:
    return Said("a server", name, value)


def drafted(**settings: object) -> Draft:
    draft = Draft()
    for name, value in settings.items():
        draft.apply(RULES, name, said(name, value))
    return draft


def test_each_rule_has_its_place() -> None:
    draft = drafted(workers=3, level="INFO", gone=1, other="x", switch=True, what=2)
    draft.files.append("a file")
    assert draft.render() == (
        "# Written by `drawbar import` from a file.\n"
        "\n"
        "[server]\n"
        "workers = 3\n"
        "\n"
        "[log]\n"
        'level = "info"\n'
        "\n"
        "# Taken over, but it works differently:\n"
        "#   level = INFO: log.level: in lower case\n"
        "\n"
        "# No counterpart:\n"
        "#   other = x: do it elsewhere\n"
        "#   switch: leave it off\n"
        "\n"
        "# Not needed any more:\n"
        "#   gone = 1: it is done anyway\n"
        "\n"
        "# Not understood:\n"
        "#   what = 2: no setting of a server's is called so\n"
    )


def test_a_switch_that_is_off_says_nothing() -> None:
    assert "switch" not in drafted(switch=False).render()


def test_a_value_that_is_refused_is_told_and_not_taken() -> None:
    draft = drafted(workers=0)
    assert "server.workers" not in draft.values
    assert "#   workers = 0: not for server.workers: " in draft.render()


def test_a_shells_variable_is_given_otherwise() -> None:
    assert (
        "#   workers = $N: drawbar.toml has no variables: give it to Drawbar with --workers or DRAWBAR_WORKERS"
        in drafted(workers="$N").render()
    )


def test_what_is_said_goes_before_what_is_implied() -> None:
    draft = drafted(workers=3)
    draft.imply("server.workers", 7, "unasked")
    draft.imply("server.backlog", 7, "unasked")
    text = draft.render()
    assert "workers = 3\n" in text
    assert "backlog = 7  # unasked\n" in text


def test_what_contradicts_itself_is_taken_back() -> None:
    draft = Draft()
    draft.put("hooks.before_fork", said("a hook", "module:function"))
    text = draft.render()
    assert "\nbefore_fork" not in text
    assert "#   a hook = module:function: not with the rest, for before_fork runs in the fork server" in text


def test_what_nobody_said_gives_way_first() -> None:
    draft = Draft()
    draft.put("hooks.before_fork", said("a hook", "module:function"))
    draft.imply("lifecycle.preload", False, "unasked")
    assert "lifecycle.preload: not with the rest" in draft.render()


@pytest.mark.parametrize("value", ['a"b\\c', "é", "x # y"])
def test_text_is_what_it_was(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    draft = Draft()
    draft.put("log.error", said("log", value))
    assert Imported(draft.render(), tmp_path_factory.mktemp("text")).config.log.error == value


def test_nothing_ends_a_comment(tmp_path_factory: pytest.TempPathFactory) -> None:
    draft = Draft()
    draft.remark(Verdict.MISSING, said("name", "a\n[server]\nworkers = 9"), "why\nworkers = 9\u2028x")
    draft.files.append("a\nfile")
    assert Imported(draft.render(), tmp_path_factory.mktemp("text")).settings == {}
