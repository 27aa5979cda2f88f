"""The writers: exact bytes, and nothing that breaks framing gets in."""

import pytest

from drawbar.wire import h1


def test_a_response_head() -> None:
    assert h1.response_head(404, [(b"A", b"1"), (b"B", b"2")]) == b"HTTP/1.1 404 Not Found\r\nA: 1\r\nB: 2\r\n\r\n"


def test_a_response_head_with_a_reason() -> None:
    assert h1.response_head(200, reason=b"Fine") == b"HTTP/1.1 200 Fine\r\n\r\n"
    assert h1.response_head(200, reason=b"") == b"HTTP/1.1 200 \r\n\r\n"


def test_a_status_without_a_phrase() -> None:
    assert h1.response_head(799) == b"HTTP/1.1 799 Unknown\r\n\r\n"


@pytest.mark.parametrize("status", [-1, 0, 99, 1000])
def test_a_status_of_other_than_three_digits(status: int) -> None:
    with pytest.raises(ValueError, match=f"status is {status}; it must be from 100 to 999"):
        h1.response_head(status)


def test_a_reason_with_a_line_end() -> None:
    with pytest.raises(ValueError, match=r"reason phrase .* has a control character"):
        h1.response_head(200, reason=b"OK\r\nSet-Cookie: a=b")


def test_a_request_head() -> None:
    assert h1.request_head(b"GET", b"/a?b", [(b"Host", b"x")]) == b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("method", [b"", b"GE T", b"G\r\nET", b"G\xc9T", b"GET\x00"])
def test_a_method_that_is_no_token(method: bytes) -> None:
    with pytest.raises(ValueError, match=r"method .* is not a token"):
        h1.request_head(method, b"/")


@pytest.mark.parametrize("target", [b"/a b", b"/\r\n", b"/\x00", b"/\x7f", b"/\xc3\xa9", b"/a#b"])
def test_a_target_that_must_be_encoded(target: bytes) -> None:
    with pytest.raises(ValueError, match="must be percent-encoded"):
        h1.request_head(b"GET", target)


def test_an_empty_target() -> None:
    with pytest.raises(ValueError, match="empty request-target"):
        h1.request_head(b"GET", b"")


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"\xe9", b" a"])
def test_a_field_name_that_is_no_token(name: bytes) -> None:
    with pytest.raises(ValueError, match="is not a token") as caught:
        h1.response_head(200, [(name, b"the value")])
    assert repr(name)[1:] in str(caught.value)
    assert "the value" in str(caught.value)


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\nb", b"\x00", b"a\x7f", b"\r"])
def test_a_field_value_with_a_control_character(value: bytes) -> None:
    with pytest.raises(ValueError, match="has a control character") as caught:
        h1.response_head(200, [(b"X-Name", value)])
    assert repr(value)[1:] in str(caught.value)
    assert "X-Name" in str(caught.value)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(ValueError, match=r"a{64}'\.\.\. \(1001 bytes\)"):
        h1.response_head(200, [(b"X", b"a" * 1000 + b"\n")])


def test_white_space_around_a_value_is_trimmed() -> None:
    assert h1.response_head(200, [(b"X", b" \ta b\t "), (b"Y", b" ")]) == b"HTTP/1.1 200 OK\r\nX: a b\r\nY: \r\n\r\n"


def test_a_value_keeps_bytes_that_are_not_ascii() -> None:
    assert b"X: \xff\xc3\xa9\r\n" in h1.response_head(200, [(b"X", b"\xff\xc3\xa9")])


def test_a_head_larger_than_the_first_buffer() -> None:
    fields = [(b"X-%d" % number, b"v" * 1000) for number in range(100)]
    expected = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    assert h1.response_head(200, fields) == b"HTTP/1.1 200 OK\r\n" + expected + b"\r\n"


@pytest.mark.parametrize("size", [1, 9, 10, 15, 16, 17, 255, 256, 4095, 65536])
def test_a_chunk(size: int) -> None:
    assert h1.chunk(b"x" * size) == b"%x\r\n" % size + b"x" * size + b"\r\n"


def test_a_chunk_of_nothing_would_end_the_body() -> None:
    with pytest.raises(ValueError, match="a chunk must not be empty"):
        h1.chunk(b"")


def test_the_last_chunk() -> None:
    assert h1.last_chunk() == b"0\r\n\r\n"
    assert h1.last_chunk([(b"Digest", b"x")]) == b"0\r\nDigest: x\r\n\r\n"
