"""What a worker asks and what an answer means: whole, byte by byte, and what no front would say."""

import pytest

from drawbar.pull.handshake import BODY_BYTES, Answer, Attached, attach_request
from drawbar.pull.keeping import Failure, Kind

AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: PTTH/1.0\r\n"
PROBLEM = b'{"type": "about:blank", "title": "Unknown app", "detail": "apps here: shop\\u0007"}'


def whole(data: bytes) -> Attached | Failure | None:
    """The verdict on an answer that comes at once, and whose connection then ends."""
    answer = Answer("blog")
    return answer.feed(data) or answer.end()


def in_bytes(data: bytes) -> Attached | Failure | None:
    """The verdict on one that comes byte by byte."""
    answer = Answer("blog")
    for index in range(len(data)):
        verdict = answer.feed(data[index : index + 1])
        if verdict is not None:
            return verdict
    return answer.end()


def test_the_question() -> None:
    assert attach_request("front:4242", "blog", "v7", "s3cret", "drawbar/1") == (
        b"GET /api/v2/attach?app=blog&label=v7 HTTP/1.1\r\nHost: front:4242\r\nConnection: Upgrade\r\n"
        b"Upgrade: PTTH/1.0\r\nUser-Agent: drawbar/1\r\nAuthorization: Bearer s3cret\r\n\r\n"
    )


def test_the_question_without_label_and_token() -> None:
    question = attach_request("localhost", "blog", None, None, "a")
    assert question.startswith(b"GET /api/v2/attach?app=blog HTTP/1.1\r\n")
    assert b"Authorization" not in question


@pytest.mark.parametrize("verdict", [whole, in_bytes])
def test_an_agreement(verdict: object) -> None:
    assert callable(verdict)
    assert verdict(AGREED + b"\r\n") == Attached(False, b"")
    assert verdict(AGREED + b"Drawbar-Releases: 1\r\n\r\n") == Attached(True, b"")
    assert verdict(b"HTTP/1.1 100 Continue\r\n\r\n" + AGREED.lower().replace(b"http", b"HTTP") + b"\r\n") == Attached(
        False, b""
    )


def test_what_comes_behind_an_agreement_belongs_to_requests() -> None:
    assert whole(AGREED + b"\r\nGET / HT") == Attached(False, b"GET / HT")


@pytest.mark.parametrize("verdict", [whole, in_bytes])
@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", Kind.REFUSED, "refuses the token"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", Kind.REFUSED, "not good for the app blog"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Kind.REFUSED, "it has no app blog, or is no front"),
        (b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: x\r\nContent-Length: 0\r\n\r\n", Kind.REFUSED, "another protocol"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", Kind.REFUSED, "it answers 410"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Kind.REFUSED, "it answers 200, which no front does"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", Kind.REFUSED, "which no front does"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Kind.FAILED, "it answers 503"),
        (b"HTTP/1.1 429 Too Many\r\nContent-Length: 0\r\n\r\n", Kind.FAILED, "it answers 429"),
        (b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", Kind.REFUSED, "is no front"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Kind.FAILED, "it does not answer in HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgr", Kind.FAILED, "without an answer"),
        (b"", Kind.FAILED, "without an answer"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 90\r\n\r\nhalf", Kind.REFUSED, "it has no app blog"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 999999999\r\n\r\nmuch", Kind.FAILED, "it answers 500"),
    ],
)
def test_any_other_answer_says_why(verdict: object, answer: bytes, kind: Kind, said: str) -> None:
    assert callable(verdict)
    failure = verdict(answer)
    assert isinstance(failure, Failure)
    assert failure.kind is kind
    assert said in failure.why


def test_a_front_that_was_told_to_stop_is_none_that_fails() -> None:
    body = b'{"detail": "this server is stopping", "code": "not-ready"}'
    head = b"HTTP/1.1 503 Oh\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert whole(head + body) == Failure(Kind.LEAVING, "it is stopping")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (PROBLEM, "it has no app blog, or is no front (404: apps here: shop)"),
        (b'{"title": "Unknown app"}', "it has no app blog, or is no front (404: Unknown app)"),
        (b"[1, 2]", "it has no app blog, or is no front (404)"),
        (b"\xff{", "it has no app blog, or is no front (404)"),
        (b'{"detail": "' + b"x" * 900 + b'"}', f"it has no app blog, or is no front (404: {'x' * 200})"),
        (b"x" * (BODY_BYTES + 1), "it has no app blog, or is no front (404)"),
    ],
)
def test_the_fronts_own_words_are_told(body: bytes, said: str) -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n"
    assert whole(head % len(body) + body) == Failure(Kind.REFUSED, said)
