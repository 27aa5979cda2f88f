"""The application's own kinds of value."""

from typing import Literal

import pytest

from drawbar.config.app import AppConfig, parse_root_path


@pytest.mark.parametrize(
    ("raw", "path"), [("", ""), ("/", ""), ("/shop", "/shop"), ("/shop/", "/shop"), ("/a/b", "/a/b")]
)
def test_root_paths(raw: str, path: str) -> None:
    assert parse_root_path(raw) == path


@pytest.mark.parametrize("raw", ["shop", "/shop?x", "/#a", "/a\n"])
def test_what_is_no_root_path(raw: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_root_path(raw)


@pytest.mark.parametrize(
    ("app", "fields", "why"),
    [
        (
            AppConfig(interface="asgi", concurrency="fork"),
            ("concurrency", "interface"),
            "fork is for WSGI; ASGI is called by tasks",
        ),
        (AppConfig(interface="wsgi", concurrency="tasks"), ("concurrency", "interface"), "tasks are for ASGI"),
        (
            AppConfig(concurrency="fork", stream_input=True),
            ("concurrency", "stream_input"),
            "a request's own process starts when its body is there",
        ),
    ],
)
def test_models_of_concurrency_that_do_not_fit(app: AppConfig, fields: tuple[str, ...], why: str) -> None:
    (conflict,) = app.conflicts()
    assert (conflict.fields, conflict.why) == (fields, why)


@pytest.mark.parametrize("interface", ["auto", "wsgi", "asgi"])
def test_no_interface_conflicts_with_the_usual_model(interface: Literal["auto", "wsgi", "asgi"]) -> None:
    assert list(AppConfig(interface=interface).conflicts()) == []
