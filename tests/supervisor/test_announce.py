"""What the server says at its start and its end."""

import os

import pytest

from drawbar import __version__
from drawbar.config import AppConfig, Config, ThreadRange
from drawbar.supervisor.announce import closing_line, duration, serving_line, stopping_line

TCP = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("app", "interface", "addresses", "workers", "middle"),
    [
        (AppConfig(target="hello:app"), "wsgi", [TCP], 1, f"hello:app (wsgi) on {TCP}, 1 worker, threads 1:8"),
        (AppConfig(target="hello:app"), "", [TCP], 1, f"hello:app on {TCP}, 1 worker, threads 1:8"),
        (AppConfig(target="a:b", interface="asgi"), "", [TCP], 2, f"a:b (asgi) on {TCP}, 2 workers, tasks"),
        (AppConfig(target="a:b", threads=ThreadRange(1, 1)), "", [TCP], 1, f"a:b on {TCP}, 1 worker, inline"),
        (
            AppConfig(target="a:b", threads=ThreadRange(4, 4)),
            "wsgi",
            [TCP, "unix:/run/a"],
            1,
            f"a:b (wsgi) on {TCP}, unix:/run/a, 1 worker, threads 4",
        ),
    ],
)
def test_says_what_is_served(app: AppConfig, interface: str, addresses: list[str], workers: int, middle: str) -> None:
    line = serving_line(Config(app=app), interface, addresses, workers)
    assert line == f"drawbar {__version__} serving {middle} (pid {os.getpid()})"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min"), (306, "5 min 6 s"), (3600, "1 h"), (273_700, "3 d 4 h")],
)
def test_says_a_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_says_how_long_stopping_may_take() -> None:
    assert stopping_line("SIGINT", 30.0) == "SIGINT: stopping, requests in progress have 30 s"


def test_says_how_it_ended() -> None:
    assert closing_line("SIGTERM", 7.81) == "drawbar stopped by SIGTERM after 7.8 s"
