"""[process]: its values, and what does not go together with it."""

import pytest

from drawbar.config import Config, LogConfig, OperatorError, ProcessConfig, ServerConfig
from drawbar.config.process import parse_umask, show_umask
from drawbar.config.sources import load


@pytest.mark.parametrize(("text", "mask"), [("022", 0o22), ("0o077", 0o77), ("0", 0), (" 7 ", 7), ("0777", 0o777)])
def test_umask(text: str, mask: int) -> None:
    assert parse_umask(text) == mask
    assert parse_umask(show_umask(mask)) == mask


@pytest.mark.parametrize("raw", [22, "", "8", "-1", "1000", "00022", "rwx", True, None, "²"])
def test_what_is_no_umask(raw: object) -> None:
    with pytest.raises(ValueError, match=r'write octal digits in quotes such as "022"'):
        parse_umask(raw)


CONFLICTS = {
    "inetd with daemonize": ({"process.daemonize": True, "log.error": "/x"}, ("process.inetd", "process.daemonize")),
    "inetd with a pid file": ({"process.pid_file": "/run/x.pid"}, ("process.inetd", "process.pid_file")),
    "inetd with lines on the connection": ({"log.access": "-"}, ("process.inetd", "log.access")),
    "inetd with reload": ({"server.reload": True}, ("process.inetd", "server.reload")),
}


@pytest.mark.parametrize(("others", "keys"), CONFLICTS.values(), ids=CONFLICTS.keys())
def test_a_process_for_one_connection(others: dict[str, object], keys: tuple[str, str]) -> None:
    with pytest.raises(OperatorError) as raised:
        load({"process.inetd": True, **others}, {})
    assert all(key in raised.value.where for key in keys)


def test_a_daemon_writes_to_no_terminal() -> None:
    with pytest.raises(OperatorError) as raised:
        load({"process.daemonize": True}, {})
    assert str(raised.value) == (
        "process.daemonize = true (from --daemonize) and log.error = - (default): "
        "a daemon has no terminal to write to; --daemonize needs --error-log PATH"
    )
    with pytest.raises(OperatorError, match="--daemonize needs --access-log PATH"):
        load({"process.daemonize": True, "log.error": "off", "log.access": "-"}, {})


def test_what_goes_together() -> None:
    daemon = Config(process=ProcessConfig(daemonize=True), log=LogConfig(error="/var/log/x", access="/var/log/y"))
    assert list(daemon.conflicts()) == []
    inetd = Config(process=ProcessConfig(inetd=True, user="nobody"), server=ServerConfig(workers=4))
    assert list(inetd.conflicts()) == list(inetd.process.conflicts()) == []
