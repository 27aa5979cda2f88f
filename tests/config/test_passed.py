"""Sockets from the service manager: who may take them, and which setting names which."""

import pytest

from drawbar.config import Config, FdBind, OperatorError, TcpBind
from drawbar.config.binds import Bind, NamedBind
from drawbar.config.passed import MAX_FDS, Passed, left_over, passed_sockets, with_numbers
from drawbar.config.sources import Origin, load

ME = 7


def given(count: object = 2, names: str | None = None, pid: object = ME) -> dict[str, str]:
    environ = {"LISTEN_PID": str(pid), "LISTEN_FDS": str(count)}
    return environ if names is None else {**environ, "LISTEN_FDNAMES": names}


@pytest.mark.parametrize(
    ("environ", "passed"),
    [
        ({}, ()),
        ({"LISTEN_FDS": "1"}, ()),
        (given(1), (Passed(3),)),
        (given(2, "web:admin"), (Passed(3, "web"), Passed(4, "admin"))),
        (given(3, "web::admin"), (Passed(3, "web"), Passed(4), Passed(5, "admin"))),
        (given(2, "web"), (Passed(3, "web"), Passed(4))),
        (given(1, "web:surplus"), (Passed(3, "web"),)),
        (given(1, pid=ME + 1), ()),
        (given(1, pid=""), ()),
        (given(0), ()),
        (given(-1), ()),
        (given("many"), ()),
        (given("²"), ()),
        (given(MAX_FDS), tuple(Passed(3 + index) for index in range(MAX_FDS))),
        (given(MAX_FDS + 1), ()),
    ],
)
def test_who_is_given_what(environ: dict[str, str], passed: tuple[Passed, ...]) -> None:
    assert passed_sockets(environ, ME) == passed


def test_a_name_stands_for_all_sockets_of_its_unit() -> None:
    passed = (Passed(3, "web"), Passed(4, "admin"), Passed(5, "web"))
    binds: list[Bind | NamedBind] = [NamedBind("web"), TcpBind("", 80), NamedBind("admin")]
    assert list(with_numbers(binds, passed, "--bind")) == [FdBind(3), FdBind(5), TcpBind("", 80), FdBind(4)]


def test_a_name_nobody_has_is_a_mistake() -> None:
    with pytest.raises(OperatorError) as raised:
        list(with_numbers([NamedBind("wbe")], (Passed(3, "web"), Passed(4, "admin")), "--bind"))
    assert str(raised.value) == "--bind: fd://wbe: no socket is called 'wbe'; sockets are passed under: admin, web"
    with pytest.raises(OperatorError, match="the service manager has passed none"):
        list(with_numbers([NamedBind("web")], (), "--bind"))


def test_what_is_left_over_is_told() -> None:
    passed = (Passed(3, "web"), Passed(4), Passed(5))
    assert left_over(passed, [FdBind(4)]) == (
        "LISTEN_FDS: passed and not used, as other addresses are bound: fd://3 (web), fd://5"
    )
    assert left_over(passed, [FdBind(3), FdBind(4), FdBind(5)]) == ""
    assert left_over((), [TcpBind("", 80)]) == ""


def test_passed_sockets_are_the_listeners_when_no_address_is_given() -> None:
    loaded = load({}, given(2), pid=ME)
    assert loaded.config.server.bind == (FdBind(3), FdBind(4))
    (effective,) = loaded.changed()
    assert (effective.origin, str(effective)) == (Origin.PASSED, "server.bind = fd://3,fd://4 (from LISTEN_FDS)")
    assert loaded.notes == ()


def test_an_address_that_is_given_has_the_last_word() -> None:
    loaded = load({"server.bind": ":80"}, given(1, "web"), pid=ME)
    assert loaded.config.server.bind == (TcpBind("", 80),)
    assert loaded.notes == ("LISTEN_FDS: passed and not used, as other addresses are bound: fd://3 (web)",)


def test_names_are_numbers_in_the_tree() -> None:
    options = {"server.bind": "fd://web,127.0.0.1:8001", "control.metrics_bind": "fd://metrics"}
    loaded = load(options, given(2, "metrics:web"), pid=ME)
    assert loaded.config.server.bind == (FdBind(4), TcpBind("127.0.0.1", 8001))
    assert loaded.config.control.metrics_bind == (FdBind(3),)
    assert loaded.notes == ()


def test_a_name_twice_is_an_address_twice() -> None:
    with pytest.raises(OperatorError, match="fd://3 is listed twice"):
        load({"server.bind": "fd://web,fd://3"}, given(1, "web"), pid=ME)


def test_a_wrong_name_says_where_it_stands() -> None:
    with pytest.raises(OperatorError, match=r"^DRAWBAR_BIND: fd://web: no socket is called 'web'"):
        load({}, {"DRAWBAR_BIND": "fd://web"})


def test_the_sockets_of_another_process_are_not_ours() -> None:
    assert load({}, given(2, pid=ME), pid=ME + 1).config == Config()


def test_a_connection_that_is_passed_is_not_listened_on() -> None:
    loaded = load({"process.inetd": True, "server.bind": ":80"}, given(1, "connection"), pid=ME)
    assert loaded.notes == ()
