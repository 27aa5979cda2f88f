"""Programs that serve an application behind a front: started, recognised, replaced, ended. Here with workers of our own
that are told nothing but what any program is told.
"""

import json
import os
import re
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES
from tests.support.server import PATIENCE_S, Server, Servers

GET = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
WORK = json.dumps([sys.executable, "-m", "drawbar", "work", "environment:app"])

Several = Callable[..., Server]


@pytest.fixture
def several(server: Servers, tmp_path: Path) -> Several:
    """Starts what a drawbar.toml says."""

    def start(toml: str, **keywords: Any) -> Server:
        return server(None, "--log-level", "debug", cwd=tmp_path, toml=toml, **keywords)

    return start


def shop(*lines: str, command: str = WORK) -> str:
    """The table of an application that such a command serves."""
    return "\n".join(["[apps.shop]", f"command = {command}", f'chdir = "{SITES}"', *lines, ""])


def ready(site: Server, count: int = 1) -> int:
    """The process of the shop's worker, once so many have come to serve."""
    return int(site.log.wait_for_many(r"shop worker 1 is ready \(pid (\d+)\)", count)[-1][1])


def session(leader: int) -> set[int]:
    """The processes of a command."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getsid(int(pid)) == leader:
                found.add(int(pid))
        except ProcessLookupError:
            continue
    return found


def wait_for_ends(pids: list[int]) -> None:
    """Until the processes of these descriptors have ended."""
    for pid in pids:
        assert select.select([pid], [], [], PATIENCE_S)[0], "it is still there"
        os.close(pid)


def ask(site: Server, connect: Connect) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(connect(site).request(GET).body)
    return found


def test_a_command_serves_in_its_own_environment(several: Several, connect: Connect) -> None:
    text = '[app.env]\nSITE_A = "all"\n[server]\nworkers = 1\n' + shop("env = { SITE_B = 'shop' }", "open_files = 900")
    site = several(text)
    pid = ready(site)
    assert re.search(r"for shop \(1 worker\)", site.log.text)
    facts = ask(site, connect)
    assert facts["found"] == {"SITE_A": "all", "SITE_B": "shop"}
    assert facts["files"] == 900
    # The process that attached is not the one that was started, but of its session.
    assert len(session(pid)) > 1


def test_each_application_has_its_own(several: Several, connect: Connect) -> None:
    blog = (
        f'[apps.blog]\ntarget = "environment:app"\nchdir = "{SITES}"\nprefix = "/blog"\nenv = {{ SITE_A = "blog" }}\n'
    )
    site = several(blog + shop("env = { SITE_A = 'shop' }"))
    ready(site)
    assert ask(site, connect)["found"] == {"SITE_A": "shop"}
    answer = connect(site).request(GET.replace(b"/ HTTP", b"/blog/ HTTP"))
    assert json.loads(answer.body)["found"] == {"SITE_A": "blog"}


def test_one_that_dies_is_replaced_and_leaves_nobody_behind(several: Several, connect: Connect) -> None:
    site = several(shop())
    pid = ready(site)
    ask(site, connect)
    others = [os.pidfd_open(other) for other in session(pid) - {pid}]
    assert others
    os.kill(pid, signal.SIGKILL)
    wait_for_ends(others)
    assert ready(site, 2) != pid
    ask(site, connect)


def test_a_reload_brings_a_new_one_and_lets_the_old_one_finish(several: Several, connect: Connect) -> None:
    site = several(shop())
    pid = ready(site)
    leaving = os.pidfd_open(pid)
    site.process.send_signal(signal.SIGHUP)
    assert ready(site, 2) != pid
    ask(site, connect)
    wait_for_ends([leaving])
    assert f"shop worker 1 (pid {pid}) exited with code 0" in site.log.wait_for(rf"pid {pid}\) exited").string


def test_signals_of_ours_are_none_of_its_business(several: Several, connect: Connect) -> None:
    # `sleep` would end at any of these.
    site = several(
        shop(command=json.dumps(["sh", "-c", f"{sys.executable} -m drawbar work environment:app & sleep 600"]))
    )
    pid = ready(site)
    for number in (signal.SIGUSR1, signal.SIGPWR):
        site.process.send_signal(number)
    site.log.wait_for("the stacks of")
    site.log.wait_for("logs reopened")
    assert ask(site, connect)["found"] == {}
    assert {pid} < session(pid)
    os.kill(pid, signal.SIGTERM)
    site.log.wait_for(rf"pid {pid}\) died")


def test_one_that_cannot_be_started_ends_the_start_of_a_server_without_others(several: Several) -> None:
    site = several(shop(command='["no-such-program"]'), ready=False)
    assert site.wait() == 2
    assert site.log.lines[-1] == (
        "drawbar: error: apps.shop.command: cannot start no-such-program (No such file or directory); "
        "name a program that is installed, and that its user may run"
    )


def test_one_that_cannot_be_started_is_tried_again_beside_others(several: Several, connect: Connect) -> None:
    blog = f'[apps.blog]\ntarget = "environment:app"\nchdir = "{SITES}"\nprefix = "/blog"\n'
    site = several(blog + shop(command='["no-such-program"]'))
    assert connect(site).request(GET.replace(b"/ HTTP", b"/blog/ HTTP")).status == 200
    site.log.wait_for_many(r"shop worker 1 \(pid \d+\) could not start: apps.shop.command: cannot start", 2)


def test_it_goes_with_its_master(several: Several, connect: Connect) -> None:
    site = several(shop())
    pid = ready(site)
    ask(site, connect)
    ends = [os.pidfd_open(other) for other in session(pid)]
    site.kill()
    wait_for_ends(ends)


def test_one_that_has_its_age_is_replaced(several: Several, connect: Connect) -> None:
    site = several(shop("max_age = 0.5"))
    pid = ready(site)
    assert ready(site, 2) != pid
    ask(site, connect)
