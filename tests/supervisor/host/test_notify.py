"""What the service manager hears: a real datagram socket stands in for it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawbar.supervisor.host.notify import (
    MANAGER_VARIABLES,
    STATUS_CHARACTERS,
    Notifier,
    forget_manager,
    hand_on,
    watchdog_interval,
)


class Manager:
    """The receiving end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(20)

    def heard(self) -> str:
        """The next message."""
        return self._socket.recv(4096).decode()

    def fill(self) -> None:
        """Sends itself messages until its queue takes no more."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            while True:
                try:
                    sender.sendto(b"full", self._socket.getsockname())
                except BlockingIOError:
                    return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@drawbar-test-{os.getpid()}"
    made = Manager(address)
    yield made
    made.close()


def told_by(manager: Manager, **environ: str) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": manager.address, **environ})


def test_each_state_is_one_message(manager: Manager) -> None:
    notifier = told_by(manager)
    assert notifier
    notifier.ready("4 workers")
    assert manager.heard() == "READY=1\nSTATUS=4 workers"
    notifier.ready()
    assert manager.heard() == "READY=1"
    notifier.stopping("draining")
    assert manager.heard() == "STOPPING=1\nSTATUS=draining"
    notifier.status("2 of 4 workers replaced")
    assert manager.heard() == "STATUS=2 of 4 workers replaced"
    notifier.beat()
    assert manager.heard() == "WATCHDOG=1"


def test_who_has_named_the_next_master_says_nothing_more(manager: Manager) -> None:
    notifier = told_by(manager, WATCHDOG_USEC="1000000")
    notifier.main_pid(4711)
    assert manager.heard() == "MAINPID=4711"
    notifier.stopping()
    notifier.beat()
    assert not notifier
    assert notifier.watchdog_s is None
    told_by(manager).status("the next master")
    assert manager.heard() == "STATUS=the next master"


def test_a_reload_says_when_it_began_in_microseconds(manager: Manager) -> None:
    Notifier(manager.address, monotonic_ns=lambda: 12_345_678_999).reloading("new settings")
    assert manager.heard() == "RELOADING=1\nMONOTONIC_USEC=12345678\nSTATUS=new settings"


def test_a_status_cannot_forge_another_variable_nor_grow(manager: Manager) -> None:
    notifier = told_by(manager)
    notifier.status("broken:\nMAINPID=1\tand more")
    assert manager.heard() == "STATUS=broken: MAINPID=1 and more"
    notifier.status("x" * 5000)
    assert manager.heard() == "STATUS=" + "x" * STATUS_CHARACTERS
    notifier.status("odd \udcff")
    assert manager.heard() == "STATUS=odd \\udcff"


def test_no_descriptor_is_kept(manager: Manager) -> None:
    before = os.listdir("/proc/self/fd")
    told_by(manager).ready()
    assert os.listdir("/proc/self/fd") == before


def test_a_manager_that_is_gone_or_deaf_is_no_trouble(manager: Manager) -> None:
    notifier = told_by(manager)
    manager.fill()
    notifier.beat()
    assert manager.heard() == "full"
    manager.close()
    notifier.ready()


@pytest.mark.parametrize(
    "address", ["", "@", "/", "vsock:2:1234", "relative", "/" + "x" * 200, "/nul\0", "/nowhere/at/all"]
)
def test_an_address_that_leads_nowhere_is_no_trouble(address: str) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    notifier.ready("up")
    notifier.reloading()
    notifier.stopping()
    notifier.status("x")
    notifier.main_pid(1)
    notifier.beat()


def test_without_a_manager_there_is_nobody_and_no_watchdog() -> None:
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "1000000"})
    assert not notifier
    assert notifier.watchdog_s is None


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
        ({"WATCHDOG_USEC": ""}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environ: dict[str, str], interval: float | None) -> None:
    assert watchdog_interval(environ, 7) == interval
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": "/run/x", **environ}, pid=7)
    assert notifier.watchdog_s == interval


def test_children_forget_the_manager_and_nothing_else() -> None:
    environ = dict.fromkeys(MANAGER_VARIABLES, "x") | {"PATH": "/bin"}
    forget_manager(environ)
    assert environ == {"PATH": "/bin"}
    forget_manager(environ)
    assert environ == {"PATH": "/bin"}


def test_the_next_master_is_spoken_to_as_this_one_was() -> None:
    environ = {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_PID": "1", "LISTEN_PID": "1", "LISTEN_FDS": "2"}
    hand_on(environ, 99)
    assert environ == {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_PID": "99", "LISTEN_PID": "99", "LISTEN_FDS": "2"}
    bare = {"PATH": "/bin"}
    hand_on(bare, 99)
    assert bare == {"PATH": "/bin"}


def test_a_process_of_another_kind_hears_nothing_after_a_child_forgot(tmp_path: Path) -> None:
    """os.environ is the real environment: what a forgetful child starts does not find the variables either."""
    program = (
        "import os, subprocess, sys\n"
        "from drawbar.supervisor.host.notify import forget_manager\n"
        "forget_manager(os.environ)\n"
        "sys.exit(subprocess.run(['env']).returncode)\n"
    )
    environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "x"), "LISTEN_FDS": "1", "KEPT": "yes"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, text=True, check=True)
    assert "KEPT=yes" in done.stdout
    assert "NOTIFY_SOCKET" not in done.stdout
    assert "LISTEN_FDS" not in done.stdout
