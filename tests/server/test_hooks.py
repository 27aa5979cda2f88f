"""Hooks of a server as it is run: when they are called, in which order, and what becomes of failures."""

import re
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.support.server import Servers

SITES = Path(__file__).parent / "sites"
GET = b"GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n"
WAYS = {"inline": ("app", "1"), "threads": ("app", "1:4"), "tasks": ("asgi", "1")}


def options(**functions: str) -> list[str]:
    return [
        text
        for name, function in functions.items()
        for text in (f"--hook-{name.replace('_', '-')}", f"hooked:{function}")
    ]


def told(text: str) -> list[str]:
    return re.findall(r"^hook: (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("way", WAYS)
def test_a_workers_life(server: Servers, connect: Connect, way: str) -> None:
    name, threads = WAYS[way]
    hooks = {hook: hook for hook in ("after_fork", "worker_ready", "worker_exit", "request_finished")}
    site = server(f"hooked:{name}", "--threads", threads, *options(**hooks), chdir=SITES)
    client = connect(site)
    for _ in range(2):
        assert client.request(GET).body == b"hello"
    site.stop()
    interface = "asgi" if name == "asgi" else "wsgi"
    startup, shutdown = (["lifespan startup"], ["lifespan shutdown"]) if name == "asgi" else ([], [])
    assert told(site.log.text) == [
        f"after_fork 1 hooked:{name} {interface} True",
        *startup,
        "worker_ready 1",
        *["GET /a?b=c 200 5 127.0.0.1 1 whole"] * 2,
        *shutdown,
        "worker_exit 1",
    ]


@pytest.mark.parametrize("way", WAYS)
def test_work_out_of_band_comes_when_the_worker_is_idle(server: Servers, connect: Connect, way: str) -> None:
    name, threads = WAYS[way]
    site = server(f"hooked:{name}", "--threads", threads, *options(out_of_band="out_of_band"), chdir=SITES)
    client = connect(site)
    assert client.request(GET).body == b"hello"
    site.log.wait_for("hook: out_of_band 1 ")
    assert client.request(GET).body == b"hello"


def test_failures_are_told_and_borne(server: Servers, connect: Connect) -> None:
    failing = dict.fromkeys(("worker_ready", "worker_exit", "request_finished", "out_of_band"), "fail")
    site = server("hooked:app", *options(**failing), chdir=SITES)
    client = connect(site)
    for _ in range(3):
        assert client.request(GET).body == b"hello"
    site.log.wait_for("the hook out_of_band")
    site.stop()
    lines = [line for line in site.log.lines if "the hook" in line]
    assert [re.sub(r".*the hook (\w+) .*", r"\1", line) for line in lines].count("request_finished") == 1
    for hook in failing:
        assert re.search(
            rf"error: the hook {hook} \(hooked:fail\): raised LookupError: nothing there \(", site.log.text
        )


@pytest.mark.parametrize(
    ("hook", "function", "said"),
    [
        ("after_fork", "fail", "the hook after_fork (hooked:fail): raised LookupError: nothing there"),
        (
            "request_finished",
            "nowhere",
            "hooks.request_finished = hooked:nowhere: module 'hooked' has no",
        ),
    ],
)
def test_a_worker_that_needs_a_hook_does_not_start_without(
    server: Servers, hook: str, function: str, said: str
) -> None:
    site = server("hooked:app", *options(**{hook: function}), chdir=SITES, ready=False)
    assert site.wait() == 2
    (line,) = site.log.lines
    assert line.startswith(f"drawbar: error: {said}")


def test_before_fork_wants_a_fork_server(server: Servers) -> None:
    site = server("hooked:app", *options(before_fork="before_fork"), chdir=SITES, ready=False)
    assert site.wait() == 2
    assert "before_fork runs in the fork server, which only preload starts" in site.log.text
