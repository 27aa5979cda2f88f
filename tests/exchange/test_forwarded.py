"""Who the client is: what listed proxies say is believed, as far as it goes, and what anybody else says is not."""

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.exchange.forwarded import Client, Proxies, _split, client_of

FIELDS = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
)
PROXY = ("10.0.0.1", 5000)


def members(*networks: str) -> Callable[[bytes | None], bool]:
    """Whether a packed address is in one of the networks; "unix" is a peer on a Unix socket."""
    listed = [ip_network(network) for network in networks if network != "unix"]

    def contains(packed: bytes | None) -> bool:
        return "unix" in networks if packed is None else any(ip_address(packed) in network for network in listed)

    return contains


def proxies(*fields: str, trusted: tuple[str, ...] = ("10.0.0.0/8", "fd00::/8")) -> Proxies:
    return Proxies(members(*trusted), fields or FIELDS)


def client(peer: tuple[str, int] | None = PROXY, believed: Proxies | None = None, **fields: str | list[str]) -> Client:
    """The client, with fields written as arguments: x_forwarded_for="..."."""
    lists = {name.replace("_", "-"): value if isinstance(value, list) else [value] for name, value in fields.items()}
    return client_of(peer, "http", believed or proxies(), lists)


def test_without_fields_the_client_is_the_peer() -> None:
    assert client() == Client(PROXY, "http", None, None, None)


@pytest.mark.parametrize(
    ("nodes", "address"),
    [
        ("203.0.113.7", ("203.0.113.7", 0)),
        ("203.0.113.7:1234", ("203.0.113.7", 1234)),
        ("2001:db8::7", ("2001:db8::7", 0)),
        ("[2001:db8::7]:1234", ("2001:db8::7", 1234)),
        ("[2001:DB8:0::7]", ("2001:db8::7", 0)),
        # From the right, as far as proxies go: what stands further left anybody may have written.
        ("6.6.6.6, 203.0.113.7", ("203.0.113.7", 0)),
        ("6.6.6.6, 203.0.113.7, 10.0.0.2, 10.0.0.3", ("203.0.113.7", 0)),
        ("6.6.6.6, 203.0.113.7, fd00::1", ("203.0.113.7", 0)),
        # All of them proxies: the first is where the request began.
        ("10.0.0.9, 10.0.0.2", ("10.0.0.9", 0)),
        # Not an address: whoever wrote it is the last that is known.
        ("unknown", PROXY),
        ("6.6.6.6, unknown", PROXY),
        ("6.6.6.6, _hidden, 10.0.0.2", ("10.0.0.2", 0)),
        ("6.6.6.6, 1.2.3.4.5, 10.0.0.2", ("10.0.0.2", 0)),
        ("", PROXY),
        (",, ,", PROXY),
        ("203.0.113.7:99999", ("203.0.113.7", 0)),
    ],
)
def test_x_forwarded_for_is_read_from_its_right_end(nodes: str, address: tuple[str, int]) -> None:
    assert client(x_forwarded_for=nodes).address == address


def test_several_lines_are_one_list() -> None:
    assert client(x_forwarded_for=["6.6.6.6", "203.0.113.7", "10.0.0.2"]).address == ("203.0.113.7", 0)


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("wss", "https"),
        ("ws", "http"),
        ("http, https", "https"),
        ("ftp", "http"),
    ],
)
def test_x_forwarded_proto_is_what_the_nearest_proxy_said(value: str, scheme: str) -> None:
    assert client(x_forwarded_proto=value).scheme == scheme


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("example.org", "example.org"),
        ("forged, example.org:8443", "example.org:8443"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ("example.org/path", None),
        ("user@example.org", None),
        ("exa mple", None),
        ("a\r\nb", None),
        ("<script>", None),
    ],
)
def test_x_forwarded_host_is_a_host_or_nothing(value: str, host: str | None) -> None:
    assert client(x_forwarded_host=value).host == host


@pytest.mark.parametrize(("value", "port"), [("443", 443), ("0", None), ("65536", None), ("-1", None), ("x", None)])
def test_x_forwarded_port_is_a_port_or_nothing(value: str, port: int | None) -> None:
    assert client(x_forwarded_port=value).port == port


@pytest.mark.parametrize(
    ("fields", "port"),
    [
        ({"x_forwarded_proto": "http"}, None),
        ({"x_forwarded_proto": "https"}, 443),
        ({"x_forwarded_proto": "https", "x_forwarded_port": "8443"}, 8443),
        ({"x_forwarded_proto": "https", "x_forwarded_port": "x"}, 443),
        ({"x_forwarded_proto": "https", "x_forwarded_host": "a.example:8443"}, 8443),
        ({"x_forwarded_proto": "https", "x_forwarded_host": "a.example:8443", "x_forwarded_port": "9443"}, 9443),
        ({"x_forwarded_proto": "https", "x_forwarded_host": "[2001:db8::1]"}, 443),
        ({"x_forwarded_host": "[2001:db8::1]:8080"}, 8080),
        ({"x_forwarded_host": "a.example"}, 80),
        ({"x_forwarded_host": "a/b"}, None),
        ({"forwarded": "proto=https"}, 443),
        ({"forwarded": 'host="a.example:8443";proto=https'}, 8443),
    ],
)
def test_a_port_that_is_not_said_is_the_schemes(fields: dict[str, Any], port: int | None) -> None:
    assert client(**fields).port == port


@pytest.mark.parametrize(
    ("value", "prefix"), [("/shop", "/shop"), ("/shop/", "/shop"), ("shop", None), ("https://evil/", None)]
)
def test_x_forwarded_prefix_is_a_path_or_nothing(value: str, prefix: str | None) -> None:
    assert client(x_forwarded_prefix=value).prefix == prefix


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 7239 section 4, its examples.
        ('For="[2001:db8:cafe::17]:4711"', Client(("2001:db8:cafe::17", 4711), "http", None, None, None)),
        ("for=192.0.2.60;proto=https;by=203.0.113.43", Client(("192.0.2.60", 0), "https", None, 443, None)),
        ("for=192.0.2.43, for=198.51.100.17", Client(("198.51.100.17", 0), "http", None, None, None)),
        (
            "for=6.6.6.6, for=192.0.2.43, for=10.0.0.2;host=a.example",
            Client(("192.0.2.43", 0), "http", "a.example", 80, None),
        ),
        ('for=_mystery;proto="https"', Client(PROXY, "https", None, 443, None)),
        ('for="192.0.2.1, for=6.6.6.6"', Client(PROXY, "http", None, None, None)),
        ("proto=https", Client(PROXY, "https", None, 443, None)),
        ("for=192.0.2.60;host=a/b", Client(("192.0.2.60", 0), "http", None, None, None)),
    ],
)
def test_forwarded_is_read_as_rfc_7239_says(value: str, expected: Client) -> None:
    assert client(forwarded=value) == expected


def test_forwarded_wins_and_is_not_mixed_with_the_others() -> None:
    found = client(
        forwarded="for=192.0.2.60",
        x_forwarded_for="6.6.6.6",
        x_forwarded_proto="https",
        x_forwarded_host="forged.example",
        x_forwarded_prefix="/forged",
    )
    assert found == Client(("192.0.2.60", 0), "http", None, None, None)


def test_a_field_the_proxy_does_not_set_is_not_believed_from_it() -> None:
    found = client(
        believed=proxies("x-forwarded-for"),
        forwarded="for=6.6.6.6;proto=https",
        x_forwarded_for="203.0.113.7",
        x_forwarded_proto="https",
        x_forwarded_host="forged.example",
    )
    assert found == Client(("203.0.113.7", 0), "http", None, None, None)


def test_trust_is_by_address_and_a_unix_socket_has_none() -> None:
    believed = proxies(trusted=("10.0.0.0/8", "2001:db8::/32"))
    asked = ["10.1.2.3", "11.0.0.1", "2001:db8::1", "2001:db9::1", None, "not an address", "10.0.0.1 ", ""]
    assert [believed.trusts(host) for host in asked] == [True, False, True, False, False, False, False, False]
    assert proxies(trusted=("unix",)).trusts(None)


octet = st.integers(0, 255)
strangers = st.tuples(st.sampled_from([8, 100, 203]), octet, octet, octet).map(lambda parts: ".".join(map(str, parts)))


@given(real=strangers, invented=st.lists(st.text(max_size=20).filter(lambda text: '"' not in text), max_size=5))
def test_nothing_left_of_the_first_stranger_changes_who_the_client_is(real: str, invented: list[str]) -> None:
    for value in (", ".join([*invented, real]), ", ".join([*invented, real, "10.0.0.2"])):
        assert client(x_forwarded_for=value).address == (real, 0)


@given(fields=st.dictionaries(st.sampled_from(FIELDS), st.lists(st.text(max_size=40), min_size=1, max_size=3)))
def test_no_text_breaks_it_and_what_it_gives_is_well_formed(fields: dict[str, list[str]]) -> None:
    found = client_of(PROXY, "http", proxies(), fields)
    assert found.scheme in ("http", "https")
    assert found.address is not None
    ip_address(found.address[0])
    assert 0 <= found.address[1] < 65536
    assert found.port is None or 0 < found.port < 65536
    for text in (found.host, found.prefix):
        assert text is None or not set(text) & set("\r\n\0")


@given(fields=st.dictionaries(st.sampled_from(FIELDS), st.lists(st.text(max_size=40), min_size=1, max_size=3)))
def test_a_proxy_that_sets_no_field_changes_nothing(fields: dict[str, list[str]]) -> None:
    assert client_of(PROXY, "http", Proxies(members("10.0.0.0/8"), []), fields) == Client(
        PROXY, "http", None, None, None
    )


# -- a client's part of a field, as long as a head


HOSTILE = ["," * 30_000, "a" * 30_000, '",' * 15_001, "a=" * 15_000 + '"', ";" * 30_000, 'a="' * 10_000, "\\" * 30_000]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: value[:3])
def test_what_a_client_wrote_before_it_does_not_hide_what_the_nearest_proxy_said(value: str) -> None:
    fields = {"forwarded": [value + ", for=192.0.2.7;proto=https"]}
    client = client_of(PROXY, "http", Proxies(members("10.0.0.0/8"), FIELDS), fields)
    assert (client.address, client.scheme) == (("192.0.2.7", 0), "https")


@given(st.text(alphabet='a",; \\=', max_size=30))
def test_elements_are_split_where_an_even_number_of_quotes_follows(text: str) -> None:
    assert _split(text, ",") == re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', text)


def test_a_port_of_thousands_of_digits_is_none() -> None:
    proxies = Proxies(members("10.0.0.0/8"), FIELDS)
    long = "9" * 5_000
    assert client_of(PROXY, "http", proxies, {"x-forwarded-for": [f"192.0.2.7:{long}"]}).address == ("192.0.2.7", 0)
    assert client_of(PROXY, "http", proxies, {"x-forwarded-port": [long]}).port is None
