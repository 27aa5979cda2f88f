"""The configuration as the lower floors want it."""

import socket
from pathlib import Path

from drawbar.config import Config, ProxyConfig, parse_network
from drawbar.supervisor.site import make_proxies, server_name


def test_without_listed_proxies_nobody_is_believed() -> None:
    assert make_proxies(Config()) is None


def test_listed_proxies_are_believed_in_the_listed_fields() -> None:
    trusted = (parse_network("10.0.0.0/8"), parse_network("unix"))
    proxies = make_proxies(Config(proxy=ProxyConfig(trusted=trusted, headers=("x-forwarded-for",))))
    assert proxies is not None
    assert [proxies.trusts(host) for host in ("10.1.2.3", "11.0.0.1", None)] == [True, False, True]
    assert proxies.fields == {"x-forwarded-for"}


def test_the_name_of_a_server_is_its_sockets(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert server_name(listener) == listener.getsockname()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert server_name(listener) == (str(tmp_path / "s"), None)
