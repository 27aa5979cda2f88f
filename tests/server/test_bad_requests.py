"""Malformed and smuggled requests, byte for byte over sockets: refused with their status, closed, never repaired."""

import re
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.server.conftest import WAYS, Serve
from tests.support.server import Server
from tests.wire.cases import Case, all_cases, expectations

INVALID = [case for case in all_cases() if case.group == "request/invalid"]
EXPECTED = expectations("request/invalid")
OK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
# What an attacker wants to be taken for a request of its own.
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\n"


def with_fields(*fields: bytes, body: bytes = b"0\r\n\r\n") -> bytes:
    return HEAD + b"".join(fields) + b"\r\n" + body + HIDDEN


CHUNKED = b"Transfer-Encoding: chunked\r\n"
CL_5 = b"Content-Length: 5\r\n"

# Named as the literature names them: whose view of the body is whose.
SMUGGLED: dict[str, bytes] = {
    "CL.TE": with_fields(CL_5, CHUNKED),
    "TE.CL": with_fields(CHUNKED, CL_5),
    "CL.TE, length of the whole": with_fields(b"Content-Length: %d\r\n" % (5 + len(HIDDEN)), CHUNKED),
    "CL.0": with_fields(b"Content-Length: 0\r\n", CHUNKED),
    "CL.CL": with_fields(CL_5, b"Content-Length: 0\r\n"),
    "CL.CL, equal": with_fields(CL_5, CL_5),
    "CL list": with_fields(b"Content-Length: 5, 5\r\n"),
    "CL list of two": with_fields(b"Content-Length: 5, 6\r\n"),
    "CL with a sign": with_fields(b"Content-Length: +5\r\n"),
    "CL negative": with_fields(b"Content-Length: -5\r\n"),
    "CL hexadecimal": with_fields(b"Content-Length: 0x5\r\n"),
    "CL with an underscore": with_fields(b"Content-Length: 1_0\r\n"),
    "CL of other digits": with_fields(b"Content-Length: \xd9\xa5\r\n"),
    "CL empty": with_fields(b"Content-Length:\r\n"),
    "CL past 64 bits": with_fields(b"Content-Length: 18446744073709551621\r\n"),
    "CL space before colon": with_fields(b"Content-Length : 5\r\n"),
    "CL tab before colon": with_fields(b"Content-Length\t: 5\r\n"),
    "CL folded": with_fields(b"Content-Length:\r\n 5\r\n"),
    "CL behind a bare CR": with_fields(b"A: b\rContent-Length: 5\r\n"),
    "CL behind a bare LF": with_fields(b"A: b\nContent-Length: 5\r\n"),
    "CL behind a NUL": with_fields(b"Content-Length: 5\0\r\n"),
    "TE.TE, two fields": with_fields(CHUNKED, b"Transfer-Encoding: x\r\n"),
    "TE.TE, twice": with_fields(CHUNKED, CHUNKED),
    "TE list": with_fields(b"Transfer-Encoding: chunked, identity\r\n"),
    "TE twice in a list": with_fields(b"Transfer-Encoding: chunked, chunked\r\n"),
    "TE lookalike": with_fields(b"Transfer-Encoding: xchunked\r\n"),
    "TE identity": with_fields(b"Transfer-Encoding: identity\r\n"),
    "TE quoted": with_fields(b'Transfer-Encoding: "chunked"\r\n'),
    "TE with a parameter": with_fields(b"Transfer-Encoding: chunked;a=b\r\n"),
    "TE with a comma": with_fields(b"Transfer-Encoding: chunked,\r\n"),
    "TE empty": with_fields(b"Transfer-Encoding:\r\n"),
    "TE space before colon": with_fields(b"Transfer-Encoding : chunked\r\n"),
    "TE tab before colon": with_fields(b"Transfer-Encoding\t: chunked\r\n"),
    "TE with a vertical tab": with_fields(b"Transfer-Encoding:\x0bchunked\r\n"),
    "TE with a form feed": with_fields(b"Transfer-Encoding: chunked\x0c\r\n"),
    "TE with a NUL": with_fields(b"Transfer-Encoding: chunked\0\r\n"),
    "TE with a NUL in its name": with_fields(b"Transfer\0-Encoding: chunked\r\n"),
    "TE with a space in its name": with_fields(b"Transfer Encoding: chunked\r\n"),
    "TE folded": with_fields(b"Transfer-Encoding:\r\n chunked\r\n"),
    "TE folded onto another": with_fields(b"A: b\r\n\tTransfer-Encoding: chunked\r\n"),
    "TE behind a bare CR": with_fields(b"A: b\rTransfer-Encoding: chunked\r\n"),
    "TE behind a bare LF": with_fields(b"A: b\nTransfer-Encoding: chunked\r\n"),
    "TE ended by a bare LF": with_fields(b"Transfer-Encoding: chunked\n"),
    "TE as the first line, indented": b"POST /echo HTTP/1.1\r\n " + CHUNKED + b"Host: a\r\n\r\n0\r\n\r\n" + HIDDEN,
    "TE in HTTP/1.0": b"POST /echo HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HIDDEN,
    "head ended by bare LFs": HEAD + CHUNKED[:-2] + b"\n\n0\r\n\r\n" + HIDDEN,
    "chunk size with a sign": with_fields(CHUNKED, body=b"+0\r\n\r\n"),
    "chunk size with a prefix": with_fields(CHUNKED, body=b"0x0\r\n\r\n"),
    "chunk size with a space": with_fields(CHUNKED, body=b"0 \r\n\r\n"),
    "chunk size past 64 bits": with_fields(CHUNKED, body=b"10000000000000000\r\n\r\n"),
    "chunk size ended by a bare LF": with_fields(CHUNKED, body=b"0\n\r\n"),
    "chunk extension with a bare LF": with_fields(CHUNKED, body=b"1;a=b\nx\r\n0\r\n\r\n"),
    "chunk ended by a bare LF": with_fields(CHUNKED, body=b"1\r\nx\n0\r\n\r\n"),
    "chunk longer than its size": with_fields(CHUNKED, body=b"1\r\nxy\r\n0\r\n\r\n"),
    "trailers ended by bare LFs": with_fields(CHUNKED, body=b"0\r\n\n"),
    "trailer that frames": with_fields(CHUNKED, body=b"0\r\nContent-Length: 5\r\n\r\n"),
}


@pytest.fixture(scope="module", params=["threads", "asyncio"])
def site(request: pytest.FixtureRequest, shared: Serve) -> Server:
    name, *options = WAYS[request.param]
    access = Path(request.getfixturevalue("tmp_path_factory").mktemp("log")) / "access"
    return shared(f"plain:{name}", *options, "--access-log", str(access))


def verdict_of(case: Case) -> re.Match[str] | None:
    return re.search(r"^refused (?P<status>\d+) at \d+: (?P<why>.*)$", EXPECTED[case.name], re.MULTILINE)


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case.name)
def test_the_corpus_is_refused_as_the_codec_says(site: Server, connect: Connect, case: Case) -> None:
    verdict = verdict_of(case)
    client = connect(site)
    port = client.socket.getsockname()[1]
    client.send(case.raw)
    client.end()
    answers = re.findall(rb"HTTP/1\.1 (\d+) [A-Z]", client.read_to_end())
    if verdict is None or case.name == "closed-in-head":
        # RFC 9112 section 8: an incomplete head is nobody's request.
        assert answers == []
        return
    if case.name == "closed-in-body" and site.interface == "asgi":
        # It is called before the body's end, and answers this one without a look at it.
        assert answers == [b"200"]
        return
    assert answers[-1].decode() == verdict["status"]
    assert all(answer == b"200" for answer in answers[:-1])
    line = site.log.wait_for(rf"info: {verdict['status']} from 127\.0\.0\.1:{port}: .*").group()
    if case.name != "closed-in-body":
        assert verdict["why"] in line
        assert "; near b" in line


@pytest.mark.parametrize("name", SMUGGLED)
def test_nothing_is_smuggled(site: Server, connect: Connect, name: str) -> None:
    client = connect(site)
    port = client.socket.getsockname()[1]
    client.send(SMUGGLED[name])
    received = client.read_to_end()
    # One answer, a refusal, and the connection is over: what comes behind is nobody's request.
    assert re.findall(rb"HTTP/1\.1 (\d+) [A-Z]", received) in ([b"400"], [b"501"])
    assert b"\r\nConnection: close\r\n" in received
    site.log.wait_for(rf"info: (400|501) from 127\.0\.0\.1:{port}: .*; near b")


def test_the_body_of_one_request_is_not_the_next(site: Server, connect: Connect) -> None:
    # The honest twins of the above: what lies inside the body stays there.
    client = connect(site)
    client.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN)
    client.send(HEAD + CHUNKED + b"\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN))
    client.send(OK)
    assert [client.response().body for _ in range(3)] == [b"%d" % len(HIDDEN)] * 2 + [b"ok"]


def test_no_smuggled_request_ever_reached_an_application(site: Server, connect: Connect) -> None:
    # Its own access log would have it: this runs behind all of the above.
    for name in SMUGGLED:
        client = connect(site)
        client.send(SMUGGLED[name])
        client.read_to_end()
    assert connect(site).request(OK).body == b"ok"
    arguments = site.process.args
    assert isinstance(arguments, list)
    access = Path(arguments[arguments.index("--access-log") + 1]).read_text()
    assert '"GET / HTTP/1.1" 200' in access
    assert "smuggled" not in access


def test_a_refusal_comes_behind_the_answers_to_earlier_requests(site: Server, connect: Connect) -> None:
    client = connect(site)
    client.send(OK + OK + b"GET / HTTP/1.1\r\nHost: a\r\n B: c\r\n\r\n" + OK)
    assert [client.response().status for _ in range(3)] == [200, 200, 400]
    assert client.read_to_end() == b""


def test_neighbours_are_unharmed(site: Server, connect: Connect) -> None:
    neighbours = [connect(site) for _ in range(3)]
    half = connect(site)
    half.send(OK[:20])
    for case in INVALID:
        client = connect(site)
        client.send(case.raw)
        client.end()
        client.read_to_end()
        client.close()
        assert neighbours[len(case.name) % 3].request(OK).body == b"ok"
    half.send(OK[20:])
    assert half.response().body == b"ok"
