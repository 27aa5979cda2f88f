"""Addresses to listen on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.config.binds import Bind, FdBind, NamedBind, TcpBind, UnixBind, parse_bind, parse_written_bind


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8000", TcpBind("127.0.0.1", 8000)),
        ("localhost:0", TcpBind("localhost", 0)),
        (":80", TcpBind("", 80)),
        ("*:80", TcpBind("", 80)),
        ("[::1]:8000", TcpBind("::1", 8000)),
        ("[::]:65535", TcpBind("::", 65535)),
        ("[fe80::1%eth0]:80", TcpBind("fe80::1%eth0", 80)),
        (" example.org:443 ", TcpBind("example.org", 443)),
        ("unix:/run/drawbar.sock", UnixBind("/run/drawbar.sock")),
        ("unix:///run/drawbar.sock", UnixBind("/run/drawbar.sock")),
        ("unix:run/drawbar.sock", UnixBind("run/drawbar.sock")),
        ("unix:@drawbar", UnixBind("@drawbar")),
        ("fd://3", FdBind(3)),
        ("fd:3", FdBind(3)),
        ("fd://web", NamedBind("web")),
        ("fd:web", NamedBind("web")),
        ("fd://drawbar-admin.socket", NamedBind("drawbar-admin.socket")),
    ],
)
def test_forms(text: str, bind: Bind | NamedBind) -> None:
    assert parse_written_bind(text) == bind


def test_a_name_is_none_of_the_addresses_of_a_configuration() -> None:
    with pytest.raises(ValueError, match="write fd://3"):
        parse_bind("fd://web")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' has no port; write 127.0.0.1:8000"),
        ("8000", "'8000' has no port; write :8000"),
        ("localhost", "'localhost' has no port; write localhost:8000"),
        ("localhost:", "'localhost:' has no valid port; write a number from 0 to 65535 after the last colon"),
        ("localhost:http", "'localhost:http' has no valid port"),
        ("localhost:65536", "'localhost:65536' has no valid port"),
        ("localhost:-1", "'localhost:-1' has no valid port"),
        ("localhost:٨٠", "has no valid port"),
        ("::1:8000", "'::1:8000' has more than one colon; write an IPv6 address as [::1]:8000"),
        ("[::1]", "'[::1]' is not an IPv6 address and port; write [::1]:8000"),
        ("[::1:80", "is not an IPv6 address and port"),
        ("[localhost]:80", "is not an IPv6 address and port"),
        ("http://localhost:80", "looks like a URL, not an address; write HOST:PORT"),
        ("a b:80", "has no valid host name"),
        ("user@host:80", "has no valid host name"),
        ("unix:", "'unix:' names no socket; write unix:/run/drawbar.sock"),
        ("unix://", "names no socket"),
        ("unix:/a\0b", "holds a NUL"),
        ("unix:/" + "x" * 107, "is 108 bytes long; the system allows 107"),
        ("fd://", "'fd://' names no file descriptor; write fd://3"),
        ("fd://-1", "'fd://-1' names no file descriptor; write fd://3, or fd://NAME for a socket unit's"),
        ("fd://3x", "names no file descriptor"),
        ("fd://a b", "names no file descriptor"),
        ("fd://a:b", "names no file descriptor"),
        ("fd:///dev/fd/3", "names no file descriptor"),
        ("fd://né", "names no file descriptor"),
    ],
)
def test_mistakes(text: str, why: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared below, whole or in part
        parse_bind(text)
    assert why in str(raised.value)


def test_a_number_is_no_address() -> None:
    with pytest.raises(ValueError, match="8000 is not an address"):
        parse_bind(8000)


HOSTS = st.sampled_from(["", "localhost", "127.0.0.1", "::1", "::"])
PATHS = st.text(
    st.characters(codec="ascii", exclude_categories=["C"], exclude_characters=" "), min_size=1, max_size=100
)


@given(
    st.builds(TcpBind, HOSTS, st.integers(0, 65535))
    | st.builds(FdBind, st.integers(0, 99_999))
    | st.builds(UnixBind, PATHS.map(lambda path: "/run" + path))
)
def test_what_is_shown_reads_back(bind: Bind) -> None:
    assert parse_bind(str(bind)) == bind


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        bind = parse_bind(text)
    except ValueError:
        return
    assert parse_bind(str(bind)) == bind
