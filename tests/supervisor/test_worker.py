"""What a worker makes of its configuration before it serves."""

import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from drawbar.config import Config, ProxyConfig, parse_network
from drawbar.supervisor.worker import make_proxies, server_name


def limits_after(soft: int, hard: int, connections: int) -> tuple[int, int]:
    """The limits of open files a process ends up with: in one of its own, since a hard limit never rises again."""
    code = (
        "import resource; from drawbar.supervisor.worker import raise_open_files;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
        f"raise_open_files({connections}); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    now_soft, now_hard = out.split()
    return int(now_soft), int(now_hard)


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "expected"),
    [
        (256, 8_000, 100, (4_196, 8_000)),
        (256, 1_000, 50_000, (1_000, 1_000)),
        (6_000, 8_000, 100, (6_000, 8_000)),
    ],
)
def test_open_files_are_raised_as_far_as_needed_and_allowed(
    soft: int, hard: int, connections: int, expected: tuple[int, int]
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("the hard limit of this machine is below the test's")
    assert limits_after(soft, hard, connections) == expected


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
