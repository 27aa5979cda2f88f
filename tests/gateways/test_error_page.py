"""The debug page: it shows what helps, escapes all of it, masks what is secret, and always comes out."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from drawbar.gateways.error_page import MOST_CHAINED, MOST_FRAMES, is_secret, render, shorten

HOSTILE = "<script>alert('x')</script>&\""


@dataclass
class Request:
    """What the page says of a request."""

    method: str = "GET"
    target: str = "/orders/18?token=tok-in-query&page=2"
    http_version: str = "1.1"
    remote: tuple[str, int] | None = ("127.0.0.1", 5)
    headers: list[tuple[str, str]] = field(default_factory=list)


class Text(HTMLParser):
    """All text of a page, and its tags."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def raised(raiser: Any, *arguments: Any) -> BaseException:
    """The exception `raiser` raises."""
    try:
        raiser(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def find(customers: dict[int, Any], number: int) -> str:
    """Fails in the middle of its line."""
    api_token = "tok-in-local"
    environ = {"HTTP_COOKIE": "tok-in-environ", "QUERY_STRING": "a=1&password=tok-in-string", "PATH_INFO": "/shown"}
    headers = [("Authorization", "tok-in-tuple"), (b"cookie", b"tok-in-bytes"), ("Accept", "shown/too")]
    return str(customers[number]["name"].upper()) + api_token + str(environ) + str(headers)


def page_of(error: BaseException, **request: Any) -> Text:
    return Text(render(error, Request(**request)))


def test_the_page_shows_the_error_its_place_and_its_values() -> None:
    page = page_of(raised(find, {18: {"name": None}}, 18))
    assert page.open == []
    assert "AttributeError" in page.text
    assert "'NoneType' object has no attribute 'upper'" in page.text
    assert "find" in page.text
    assert 'customers[number]["name"].upper()' in page.text
    assert "{18: {'name': None}}" in page.text
    assert "shown/too" in page.text
    assert "/shown" in page.text


def test_the_part_of_the_line_that_failed_is_marked() -> None:
    page = render(raised(find, {18: {"name": None}}, 18), Request()).decode()
    assert "<mark>customers[number][&quot;name&quot;].upper</mark>" in page


def test_secrets_are_masked_wherever_their_names_tell() -> None:
    page = page_of(
        raised(find, {}, 18), headers=[("Cookie", "tok-in-header"), ("X-Api-Key", "tok-in-key"), ("Host", "shown.host")]
    )
    shown = page.text
    # The source itself says these; nothing else may.
    for line in Path(__file__).read_text().splitlines():
        shown = shown.replace(line.strip(), "") if line.strip() else shown
    assert re.findall(r"tok-in-\w+", shown) == []
    assert "shown.host" in page.text
    assert "/orders/18?token=••••••&page=2" in page.text


@pytest.mark.parametrize(
    "name", ["password", "PASSWD", "db_password", "api-key", "X-Api-Key", "Authorization", b"cookie"]
)
def test_names_of_secrets(name: str | bytes) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["name", "path", "author", "keyboard", 5, None, ("token",)])
def test_names_of_no_secrets(name: Any) -> None:
    assert not is_secret(name)


def hostile(value: str) -> None:
    raise ValueError(value)


def test_everything_is_escaped() -> None:
    error = raised(hostile, HOSTILE)
    error.add_note(HOSTILE)
    page = page_of(error, method=HOSTILE, target=HOSTILE, headers=[(HOSTILE, HOSTILE)])
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 6


def test_exceptions_behind_the_exception_are_shown_in_turn() -> None:
    def outer() -> None:
        try:
            raise KeyError("innermost")
        except KeyError:
            try:
                raise ValueError("between")
            except ValueError as error:
                raise RuntimeError("outermost") from error

    text = page_of(raised(outer)).text
    assert re.search(r"outermost.*Caused by ValueError: between.*While handling KeyError: 'innermost'", text, re.DOTALL)


def test_a_context_that_was_suppressed_is_not_shown() -> None:
    def outer() -> None:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise RuntimeError("shown") from None

    assert not re.search(r"While handling\W+KeyError", page_of(raised(outer)).text)


def test_long_chains_and_deep_recursion_are_cut() -> None:
    def deep(left: int) -> None:
        if left == 0:
            raise ValueError("bottom")
        deep(left - 1)

    error = raised(deep, 300)
    assert page_of(error).tags.count("ol") == MOST_FRAMES
    for number in range(30):
        wrapped = RuntimeError(str(number))
        wrapped.__cause__ = error
        error = wrapped
    assert page_of(error).text.count("Caused by") == MOST_CHAINED - 1
    error.__cause__ = error
    assert page_of(error).open == []


class Broken:
    """Fails when it is shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BrokenMapping(dict[str, int]):
    """Fails when it is looked into."""

    def __iter__(self) -> Any:
        raise RuntimeError("no keys")


def test_mappings_of_any_type_are_masked() -> None:
    class Headers(dict[str, str]):
        pass

    assert shorten("value", Headers({"Set-Cookie": "tok"})) == "{'Set-Cookie': ••••••}"


def test_values_that_cannot_be_shown_or_are_long_do_no_harm() -> None:
    assert shorten("value", Broken()).startswith("<Broken instance at ")
    assert shorten("value", {"inside": [Broken()]}).startswith("{'inside': [<Broken instance at ")
    assert shorten("value", BrokenMapping({"a": 1})) == "<BrokenMapping, whose repr raised RuntimeError>"
    assert len(shorten("value", "x" * 1_000_000)) < 2_000
    assert len(shorten("value", [["x" * 1000] * 1000] * 1000)) < 2_000
    loop: list[Any] = []
    loop.append(loop)
    assert "..." in shorten("value", loop)


def test_an_exception_that_cannot_be_shown_still_gives_a_page() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not this one")

    def fail() -> None:
        raise Unspeakable

    assert "Unspeakable" in page_of(raised(fail)).text


def test_a_page_that_fails_itself_says_so_and_still_names_the_error() -> None:
    page = Text(render(ValueError("the first"), Request(target=None)))  # type: ignore[arg-type]
    assert "ValueError: the first" in page.text
    assert "the debug page failed itself" in page.text


def test_code_without_source_is_shown_without() -> None:
    error = raised(eval, compile("1 / 0", "<nowhere>", "eval"))
    assert "No source for this file." in page_of(error).text


def test_the_page_asks_for_nothing_else() -> None:
    page = render(raised(hostile, "x"), Request()).decode()
    assert not re.search(r"<(script|link|img|iframe)|https?://|@import|url\(", page)
