"""Lines in a form of the operator's: each letter and name, and that nobody forges one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.config.log_format import FIELD, LETTERS, NAMES, VALUE, read_format
from drawbar.exchange.log_format import PARTS, line_of
from drawbar.exchange.log_lines import Record, times_of
from tests.exchange.test_access_log import Finished, record

FULL = Finished(target="/a/b?c=d", fields={b"referer": "http://there/", b"x-id": "7"})


def written(form: str, exchange: Finished = FULL, **values: object) -> str:
    return line_of(read_format(form))(record(exchange), exchange, times_of(exchange) | values).decode()


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("%h %a %l %u", "203.0.113.7 203.0.113.7 - -"),
        ('"%r" %m %U %q %H', '"GET /a/b?c=d HTTP/1.1" GET /a/b ?c=d HTTP/1.1'),
        ("%s %>s %b %B", "200 200 13 13"),
        ("%D %T", "2500 0"),
        ("%{Referer}i %{x-id}i %{x-none}i", "http://there/ 7 -"),
        ("100%% of %{status}x", "100% of 200"),
        ("%{duration_ms}x=%{client_ms}x+%{queue_ms}x+%{app_ms}x", "2.5=0.1+0.4+2.0"),
        ("%{complete}x %{worker}x %{attempt}x", "true - -"),
        ("%{time}x", "2026-10-14T17:46:40.247Z"),
    ],
)
def test_each_letter_is_apaches_and_each_name_the_json_forms(form: str, line: str) -> None:
    assert written(form) == f"{line}\n"


def test_values_of_a_front() -> None:
    assert written("%{app}x %{attempt}x %{label}x", app="shop", attempt=2, label="v 8") == "shop 2 v 8\n"


def test_what_is_not_there_is_a_dash() -> None:
    bare = Finished(remote=None, status_code=0, body_bytes=0, app_ns=None)
    assert written("%h %s %b %B %{app_ms}x", bare) == "- - - 0 -\n"


def test_whatever_may_be_written_is_known_here() -> None:
    assert set(PARTS) == LETTERS
    assert not {FIELD, VALUE} & LETTERS
    at_any_server = {*Record.__struct_fields__, *times_of(Finished())}
    assert at_any_server <= set(NAMES)


@given(target=st.text(st.characters(max_codepoint=255), max_size=60), agent=st.text(st.characters(max_codepoint=255)))
def test_no_byte_of_a_client_forges_a_line(target: str, agent: str) -> None:
    exchange = Finished(target=target, fields={b"user-agent": agent})
    line = written('"%r" "%{User-Agent}i" "%{target}x" %s', exchange)
    quoted = r'"(?:[^"\\]|\\x[0-9a-f]{2})*"'
    assert re.fullmatch(f"{quoted} {quoted} {quoted} 200\n", line)
