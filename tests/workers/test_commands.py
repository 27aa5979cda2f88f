"""Each of the workers as the command of an application: started by a master, without an option, behind its front."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw import RawClient
from tests.support.server import Servers
from tests.workers.conftest import NODE_PATH, need
from tests.workers.runtimes import PERL, RUNTIMES, SITES, WORKERS, Runtime

GET = b"GET /hello HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"

SHELL = Runtime(
    "shell",
    ("bash", "curl", "jq", "base64"),
    lambda folder: ([str(WORKERS / "shell/worker.sh")], [str(SITES / "shell/answer")]),
)


@pytest.fixture(params=[*RUNTIMES, SHELL], ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each of them."""
    found: Runtime = request.param
    need(*found.needs)
    return found


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Starts servers."""
    servers = Servers()
    yield servers
    servers.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_application_may_have_a_user_of_its_own(servers: Servers, tmp_path: Path) -> None:
    need(*PERL.needs)
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.getuid() and directory.stat().st_mode & 0o005 != 0o005:
            directory.chmod(directory.stat().st_mode | 0o055)
    # Where everybody may read: a checkout need not be.
    for file in (WORKERS / "perl/worker.pl", SITES / "perl/app.psgi"):
        shutil.copy(file, tmp_path)
    table = '[apps.site]\ncommand = "perl worker.pl app.psgi"\nuser = "nobody"\nnice = 3\n'
    site = servers(None, "--log-level", "debug", cwd=tmp_path, toml=table)
    pid = int(site.log.wait_for(r"site worker 1 is ready \(pid (\d+)\)")[1])
    with RawClient((site.host, site.port)) as client:
        assert client.request(GET).body == b"hello"
    assert Path(f"/proc/{pid}").owner() == "nobody"
    assert os.getpriority(os.PRIO_PROCESS, pid) == 3
    site.stop()
    assert "did not stop" not in site.log.text


def test_serves_as_the_command_of_an_application(runtime: Runtime, servers: Servers, tmp_path: Path) -> None:
    program, application = runtime.build(tmp_path)
    # As an operator would write it: what is on the path, by its name.
    assert shutil.which(program[0])
    table = f"""
[apps.site]
command = {json.dumps([*program, *application])}
env = {{ NODE_PATH = "{NODE_PATH}", WAIT = "1" }}
slots = 2
min = 0
max = 1
"""
    site = servers(None, "--log-level", "debug", cwd=tmp_path, toml=table)
    with RawClient((site.host, site.port)) as client:
        assert client.request(GET).body == b"hello"
    pid = int(site.log.wait_for(r"site worker 1 is ready \(pid (\d+)\)")[1])
    # It ends by itself, and with all its processes: one that is left would keep the log open.
    site.stop()
    assert "did not stop" not in site.log.text
    assert not Path(f"/proc/{pid}").exists()
