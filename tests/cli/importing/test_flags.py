"""Command lines, taken apart by a table."""

from drawbar.cli.importing.flags import Flag, Option, flags, gather, pairs, read_line, switches, values

TABLE: dict[str, Flag] = {
    **flags("-w", "--workers"),
    **flags("-b", "--bind", many=True),
    **flags("-D", "--daemon", const=True),
    **flags("-q", "--quiet", const=True),
    **values("--log-level"),
    **switches("--reload"),
    **pairs("--access-log"),
}


def options(*words: str) -> dict[str, object]:
    return {option.name: option.value for option in read_line(words, TABLE).options}


def test_a_value_stands_behind_or_within() -> None:
    for words in (("-w", "4"), ("-w4",), ("-w=4",), ("--workers", "4"), ("--workers=4",)):
        assert options(*words) == {"workers": "4"}


def test_switches_take_no_value() -> None:
    line = read_line(["-Dq", "--reload", "--no-access-log", "a:app"], TABLE)
    assert {option.name: option.value for option in line.options} == {
        "daemon": True,
        "quiet": True,
        "reload": True,
        "access_log": False,
    }
    assert line.arguments == ["a:app"]


def test_a_bunch_may_end_with_a_value() -> None:
    assert options("-Dw4") == {"daemon": True, "workers": "4"}


def test_behind_two_dashes_all_are_arguments() -> None:
    assert read_line(["--reload", "--", "-w", "a"], TABLE).arguments == ["-w", "a"]


def test_a_forgotten_value_is_empty() -> None:
    assert options("--workers") == {"workers": ""}


def test_what_is_not_known_takes_a_value_unless_it_is_the_target() -> None:
    line = read_line(["--strange", "3", "-x9", "--odd", "a:app"], TABLE)
    assert line.options == [Option("--strange", "", "3"), Option("-x", "", "9"), Option("--odd", "", True)]
    assert line.arguments == ["a:app"]


def test_repeated_options_gather() -> None:
    line = read_line(["-b", "a", "-w", "1", "--bind", "b", "-w", "2"], TABLE)
    assert [(option.name, option.value) for option in gather(line.options, TABLE)] == [
        ("bind", ["a", "b"]),
        ("workers", "2"),
    ]
