"""Listeners and processes."""

import pytest

from drawbar.config import ServerConfig, TcpBind
from drawbar.config.server import parse_mode, parse_owner, parse_workers, show_mode


def test_an_address_is_listed_once() -> None:
    port_80, any_port = TcpBind("", 80), TcpBind("", 0)
    assert [conflict.why for conflict in ServerConfig(bind=(port_80, port_80)).conflicts()] == [":80 is listed twice"]
    assert list(ServerConfig(bind=(any_port, any_port)).conflicts()) == []


def test_there_is_an_address() -> None:
    (conflict,) = ServerConfig(bind=()).conflicts()
    assert "the list is empty" in conflict.why


def test_auto_is_a_worker_for_each_core() -> None:
    assert ServerConfig(workers="auto").worker_count(6) == 6
    assert ServerConfig(workers="auto").worker_count(0) == 1
    assert ServerConfig(workers=3).worker_count(6) == 3


@pytest.mark.parametrize(("raw", "workers"), [(1, 1), ("4", 4), ("AUTO", "auto"), ("1024", 1024)])
def test_workers(raw: object, workers: object) -> None:
    assert parse_workers(raw) == workers


@pytest.mark.parametrize("raw", [0, -1, "0", "1025", "many", "", True, 1.5])
def test_what_is_no_number_of_workers(raw: object) -> None:
    with pytest.raises(ValueError, match="write one from 1 to 1024, or auto"):
        parse_workers(raw)


@pytest.mark.parametrize(("raw", "mode"), [("0666", 0o666), ("660", 0o660), ("0o600", 0o600), ("000", 0)])
def test_modes(raw: str, mode: int) -> None:
    assert parse_mode(raw) == mode
    assert parse_mode(show_mode(mode)) == mode


@pytest.mark.parametrize("raw", [660, "", "66", "0888", "1777", "rw-rw----", "0o", None])
def test_what_is_no_mode(raw: object) -> None:
    with pytest.raises(ValueError, match='write octal digits in quotes such as "0660"'):
        parse_mode(raw)


@pytest.mark.parametrize("raw", ["www-data", "www-data:www-data", ":www-data", "33:33"])
def test_owners(raw: str) -> None:
    assert parse_owner(raw) == raw


@pytest.mark.parametrize("raw", ["", ":", "a:b:c", "a b"])
def test_what_is_no_owner(raw: str) -> None:
    with pytest.raises(ValueError, match="write user, user:group or :group"):
        parse_owner(raw)
