"""Clients behind trusted proxies: what is told of one is what its fields say, however often they were seen."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawbar.exchange.forwarded import Proxies, client_of
from tests.support.inprocess import Client, Site

NAMES = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")
ENTRIES = 1_024
LONGEST = 254
"""Bytes of a value that with its name's number and its end is just too long to be remembered."""


def who(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers with what the application is told of its client."""
    start_response("200 OK", [])
    told = ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "HTTP_HOST", "SERVER_PORT")
    return ["\n".join(environ[name] for name in told).encode("latin-1")]


def believing(*names: str) -> Proxies:
    return Proxies(lambda address: True, names or NAMES)


@pytest.fixture
def proxies() -> Proxies:
    return believing()


@pytest.fixture
def site(proxies: Proxies) -> Iterator[Site]:
    with Site(who, policy={"proxies": proxies}) as site:
        yield site


def ask(client: Client, *fields: str) -> list[str]:
    """Address, port, scheme, host and port of the server."""
    client.send("\r\n".join(("GET / HTTP/1.1", "Host: test", *fields, "", "")).encode("latin-1"))
    return client.response().body.decode("latin-1").split("\n")


def test_what_was_heard_before_is_not_worked_out_again(site: Site, proxies: Proxies) -> None:
    one, other = site.connect(), site.connect()
    for client in (one, other, one):
        assert ask(client, "X-Forwarded-For: 203.0.113.7", "Accept: */*")[:2] == ["203.0.113.7", "0"]
    assert len(proxies.known) == 1
    assert ask(one, "X-Forwarded-For: 203.0.113.8")[0] == "203.0.113.8"
    assert len(proxies.known) == 2


def test_who_names_no_address_keeps_the_peers_own(site: Site, proxies: Proxies) -> None:
    one, other = site.connect(), site.connect()
    ports = [ask(client, "X-Forwarded-Proto: https")[1] for client in (one, other, one)]
    assert ports == [str(client.socket.getsockname()[1]) for client in (one, other, one)]
    assert len(proxies.known) == 1


@pytest.mark.parametrize(
    "fields",
    [
        ("X-Forwarded-For: 203.0.113.7, 203.0.113.8",),
        ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.8"),
        ("X-Forwarded-Host: 203.0.113.7",),
        ("Forwarded: for=203.0.113.7",),
    ],
    ids=["one line", "two lines", "another name", "forwarded"],
)
def test_the_same_words_elsewhere_are_somebody_else(site: Site, proxies: Proxies, fields: tuple[str, ...]) -> None:
    client = site.connect()
    ask(client, "X-Forwarded-For: 203.0.113.7")
    ask(client, *fields)
    assert len(proxies.known) == 2


def test_proxies_of_another_site_remember_for_themselves() -> None:
    both, addresses = believing(), believing("x-forwarded-for")
    told = []
    for proxies in (both, addresses):
        with Site(who, policy={"proxies": proxies}) as site:
            told.append(ask(site.connect(), "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https")[2])
    assert told == ["https", "http"]


def test_it_is_bounded_in_entries(site: Site, proxies: Proxies) -> None:
    client = site.connect()
    for number in range(ENTRIES + 10):
        address = f"203.0.{number >> 8}.{number & 255}"
        assert ask(client, f"X-Forwarded-For: {address}")[0] == address
    assert len(proxies.known) == 10


@pytest.mark.parametrize(("size", "remembered"), [(LONGEST - 1, 1), (LONGEST, 0), (4_000, 0)])
def test_it_is_bounded_in_bytes(site: Site, proxies: Proxies, size: int, remembered: int) -> None:
    client = site.connect()
    for _ in range(2):
        assert ask(client, "X-Forwarded-For: " + "203.0.113.7".rjust(size, ","))[0] == "203.0.113.7"
    assert len(proxies.known) == remembered


def test_a_stranger_is_not_remembered() -> None:
    nobody = Proxies(lambda address: False, NAMES)
    with Site(who, policy={"proxies": nobody}) as site:
        assert ask(site.connect(), "X-Forwarded-For: 203.0.113.7")[0] == "127.0.0.1"
    assert nobody.known == {}


VALUES = {
    "Forwarded": st.sampled_from(["for=203.0.113.7", "for=unknown;proto=https", "host=a.example", "nonsense"]),
    "X-Forwarded-For": st.sampled_from(["203.0.113.7", "203.0.113.7:9", "unknown", "6.6.6.6, 203.0.113.7", "[::1]:5"]),
    "X-Forwarded-Proto": st.sampled_from(["http", "https", "wss", "x"]),
    "X-Forwarded-Host": st.sampled_from(["a.example", "a.example:81", "[::1]:82", "a b"]),
    "X-Forwarded-Port": st.sampled_from(["80", "8443", "99999", "-"]),
}
LINES = st.sampled_from(sorted(VALUES)).flatmap(lambda name: st.tuples(st.just(name), VALUES[name]))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(LINES, max_size=5), min_size=1, max_size=12))
def test_it_never_differs_from_working_it_out(requests: list[list[tuple[str, str]]]) -> None:
    proxies = believing()
    with Site(who, policy={"proxies": proxies}) as site:
        client = site.connect()
        peer = client.socket.getsockname()
        for lines in requests:
            fields: dict[str, list[str]] = {}
            for name, value in lines:
                fields.setdefault(name.lower(), []).append(value)
            truth = client_of(peer, "http", proxies, fields)
            told = ask(client, *(f"{name}: {value}" for name, value in lines))
            assert truth.address is not None
            assert told[:3] == [truth.address[0], str(truth.address[1]), truth.scheme]
            assert told[3] == (truth.host or "test")
            assert truth.port is None or told[4] == str(truth.port)
