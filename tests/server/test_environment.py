"""The environment and the bounds a worker has, seen by its application."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import RawClient
from tests.support.server import Server, Servers

SITES = Path(__file__).parent / "sites"
GET = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


def ask(running: Server) -> dict[str, Any]:
    with RawClient((running.host, running.port)) as client:
        facts: dict[str, Any] = json.loads(client.request(GET).body)
        return facts


@pytest.mark.parametrize("way", [(), ("--preload",)], ids=["alone", "preloaded"])
def test_variables_are_there_when_the_application_is_imported(server: Servers, way: tuple[str, ...]) -> None:
    options = ("--env", "SITE_A=one, two", "--env", "SITE_B=three four", "--env", "TZ=XYZ-3")
    running = server("environment:app", *options, *way, "--limit-open-files", "777", "--nice", "7", chdir=SITES)
    facts = ask(running)
    assert facts["found"] == {"SITE_A": "one, two", "SITE_B": "three four"}
    assert (facts["zone"], facts["files"]) == ("XYZ", 777)
    assert facts["nice"] == 7
    # The master goes on as it was.
    assert os.getpriority(os.PRIO_PROCESS, running.process.pid) == os.getpriority(os.PRIO_PROCESS, 0)


@pytest.mark.parametrize("preload", ["false", "true"])
def test_a_reload_leaves_nothing_of_the_former_variables(server: Servers, tmp_path: Path, preload: str) -> None:
    file = tmp_path / "drawbar.toml"
    rest = f"\n[lifecycle]\npreload = {preload}\n"
    file.write_text('[app.env]\nSITE_OLD = "1"\nSITE_BOTH = "old"' + rest)
    running = server("environment:app", "--config", str(file), chdir=SITES)
    assert ask(running)["found"] == {"SITE_OLD": "1", "SITE_BOTH": "old"}
    file.write_text('[app.env]\nSITE_BOTH = "new"' + rest)
    running.process.send_signal(signal.SIGHUP)
    running.log.wait_for("reloaded: 1 worker of generation 2")
    assert ask(running)["found"] == {"SITE_BOTH": "new"}
