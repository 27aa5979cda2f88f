"""A dialer against a front that does what the test says: real sockets and threads, and nothing that waits for time."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawbar.config.fronts import parse_front
from drawbar.pull import keeping
from drawbar.pull.dial import Arrived, Dialer, Errand, read_token
from drawbar.pull.handshake import RELEASED
from drawbar.pull.keeping import Line
from drawbar.pull.tls_pump import Pump
from tests.support.front import GET, Authority, ScriptedFront
from tests.support.server import PATIENCE_S


class Dialling:
    """A dialer, and what it says and brings."""

    def __init__(self, front: str, slots: int = 1, *, tls: ssl.SSLContext | None = None, **errand: object) -> None:
        self._changed = threading.Condition()
        self.lines: list[Line] = []
        self._arrivals = threading.Semaphore(0)
        self.pump = Pump() if tls is not None else None
        whole = Errand(parse_front(front), "blog", tls=tls, **errand)  # type: ignore[arg-type]
        self.dialer = Dialer(whole, slots, tell=self._hear, on_arrived=self._arrivals.release, pump=self.pump)
        self.served: list[socket.socket] = []
        if self.pump is not None:
            self.pump.start()
        self.dialer.start()

    def _hear(self, line: Line) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def wait_for_line(self, text: str) -> Line:
        """The first line with that in it, once there is one."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(text in line.text for line in self.lines), PATIENCE_S), self.lines
            return next(line for line in self.lines if text in line.text)

    def fetch(self) -> Arrived:
        """The next connection, once it has arrived."""
        assert self._arrivals.acquire(timeout=PATIENCE_S)
        arrived = self.dialer.fetch()
        assert arrived is not None
        arrived.socket.setblocking(True)
        arrived.socket.settimeout(PATIENCE_S)
        self.served.append(arrived.socket)
        return arrived

    def close(self) -> None:
        """Ends it."""
        for served in self.served:
            served.close()
        self.dialer.close()
        if self.pump is not None:
            self.pump.stop()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits are what `keeping` is tested for; here they only cost time."""
    monkeypatch.setattr(keeping, "CAP_S", 0.01)
    monkeypatch.setattr(keeping, "REFUSED_S", 0.02)


@pytest.fixture
def front() -> Iterator[ScriptedFront]:
    with ScriptedFront() as scripted:
        yield scripted


@pytest.fixture
def dialling() -> Iterator[type[Dialling]]:
    opened: list[Dialling] = []

    class Opened(Dialling):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]
            opened.append(self)

    yield Opened
    for one in opened:
        one.close()


def test_as_many_connections_as_slots_are_attached_and_no_more(front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url, 12)
    front.attached(12)
    arrived = [work.fetch() for _ in range(12)]
    assert len({one.socket.getsockname() for one in arrived}) == 12
    assert front.has_none_waiting()
    assert [line.text for line in work.lines] == [f"attached to {front.url} as blog"]


def test_one_that_ends_is_dialled_again(front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url, 2)
    front.attached(2)
    work.fetch()
    work.dialer.on_closed(3, 5000)
    front.attached(1)
    work.fetch()
    work.fetch()
    assert front.has_none_waiting()


def test_the_token_is_read_for_each_connection(front: ScriptedFront, dialling: type[Dialling], tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    work = dialling(front.url, token_file=str(token), label="v7")
    asked = front.accept()
    assert asked.head.startswith(b"GET /api/v2/attach?app=blog&label=v7 HTTP/1.1\r\n")
    assert asked.fields["authorization"] == "Bearer first"
    token.write_text("second")
    asked.refuse("401 Unauthorized")
    assert work.wait_for_line("refuses the token").level == "error"
    again = front.accept()
    assert again.fields["authorization"] == "Bearer second"
    again.agree()
    work.fetch()


def test_a_token_that_cannot_be_read_is_told_and_tried_again(
    front: ScriptedFront, dialling: type[Dialling], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    work = dialling(front.url, token_file=str(token))
    assert "No such file" in work.wait_for_line("cannot be used").text
    token.write_text("there")
    assert front.accept().fields["authorization"] == "Bearer there"


@pytest.mark.parametrize("text", ["", "two words", "ümlaut", "two\nlines"])
def test_what_is_no_token(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text)
    with pytest.raises(ValueError, match="no token"):
        read_token(str(tmp_path / "token"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it has no app blog"),
        (b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", "another protocol"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", "does not answer in HTTP"),
        (b"HTTP/1.1 101 Switching Proto", "closed the connection without an answer"),
        (b"", "closed the connection without an answer"),
    ],
)
def test_a_wrong_answer_is_told_once_and_tried_again(
    front: ScriptedFront, dialling: type[Dialling], answer: bytes, said: str
) -> None:
    work = dialling(front.url)
    for _ in range(3):
        asked = front.accept()
        asked.send(answer)
        asked.close()
    work.wait_for_line(said)
    front.attached(1)
    work.fetch()
    assert [said in line.text for line in work.lines] == [True, False]


def test_a_front_that_says_nothing_is_given_up(front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url, dial_timeout_s=0.05)
    front.accept()
    work.wait_for_line("it does not answer within 0.05 s")


def test_a_front_that_comes_back_is_found(dialling: type[Dialling]) -> None:
    with ScriptedFront() as front:
        work = dialling(front.url)
        front.attached(1)
        work.fetch()
        port = front.vanish()
        work.dialer.on_closed(0, 5000)
        work.wait_for_line("Connection refused")
        front.return_on(port)
        front.attached(1)
        work.fetch()
        assert [line.level for line in work.lines] == ["info", "warning", "info"]


def test_a_name_that_does_not_exist_is_told(dialling: type[Dialling]) -> None:
    work = dialling("http://front.invalid:1")
    assert work.wait_for_line("cannot be looked up").level == "warning"


def test_what_came_behind_the_agreement_is_passed_on(front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url)
    front.accept().agree(releases=True, first=GET)
    arrived = work.fetch()
    assert (arrived.releases, arrived.first) == (True, GET)


def test_a_unix_socket(dialling: type[Dialling], tmp_path: Path) -> None:
    with ScriptedFront(tmp_path / "front.sock") as front:
        work = dialling(front.url)
        asked = front.accept()
        assert asked.fields["host"] == "localhost"
        asked.agree()
        work.fetch().socket.send(b"hello")
        assert asked.read(5) == b"hello"


def test_the_kernel_looks_whether_the_front_is_there(front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url, vanish_timeout_s=30)
    front.attached(1)
    sock = work.fetch().socket
    names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT, socket.TCP_NODELAY)
    assert [sock.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [15, 5, 3, 30_000, 1]
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_the_end_of_a_pause_dials_again(front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url)
    front.attached(1)
    work.fetch()
    work.dialer.pause(paused=True)
    work.dialer.on_closed(1, 5000)
    work.dialer.pause(paused=False)
    front.attached(1)
    work.fetch()


def test_an_agreement_that_comes_too_late_is_given_back(front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url, 2)
    asked, other = front.accept(), front.accept()
    work.dialer.stop()
    asked.agree(releases=True, first=GET)
    assert asked.read(len(RELEASED)) == RELEASED
    other.agree(releases=False)
    assert other.read_to_end() == b""


def test_what_nobody_has_fetched_is_given_back_at_the_end(front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url)
    (asked,) = front.attached(1, releases=True)
    work.wait_for_line("attached")
    work.dialer.close()
    assert asked.read_to_end() == RELEASED


# -- TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def trusting(authority: Authority) -> ssl.SSLContext:
    """TLS of a worker that trusts the authority alone."""
    return ssl.create_default_context(cafile=str(authority.ca))


def test_tls_both_ways(authority: Authority, dialling: type[Dialling]) -> None:
    with ScriptedFront(tls=authority.server_context()) as front:
        work = dialling(front.url, tls=trusting(authority))
        asked = front.accept()
        asked.agree(first=GET[:10])
        arrived = work.fetch()
        asked.send(GET[10:])
        read = b""
        while len(read) < len(GET):
            read += arrived.socket.recv(1000)
        assert read == GET
        data = bytes(range(256)) * 8192
        sender = threading.Thread(target=arrived.socket.sendall, args=(data,))
        sender.start()
        assert asked.read(len(data)) == data
        sender.join()
        arrived.socket.shutdown(socket.SHUT_WR)
        # An end, and not a truncation: a close_notify came.
        assert asked.socket.recv(1) == b""
        asked.close()
        assert arrived.socket.recv(1) == b""


def test_a_front_that_nobody_vouches_for_is_refused(authority: Authority, dialling: type[Dialling]) -> None:
    with ScriptedFront(tls=authority.server_context(names="DNS:elsewhere.example")) as front:
        work = dialling(front.url, tls=trusting(authority))
        with pytest.raises(OSError, match=r"."):
            front.accept()
        line = work.wait_for_line("its certificate is not trusted")
        assert line.level == "error"


def test_a_client_certificate(authority: Authority, dialling: type[Dialling]) -> None:
    context = trusting(authority)
    context.load_cert_chain(*authority.issue("worker", "DNS:worker"))
    with ScriptedFront(tls=authority.server_context(wants_client=True)) as front:
        work = dialling(front.url, tls=context)
        front.accept().agree()
        work.fetch()


def test_a_front_that_speaks_no_tls(authority: Authority, front: ScriptedFront, dialling: type[Dialling]) -> None:
    work = dialling(front.url.replace("http:", "https:"), tls=trusting(authority), dial_timeout_s=5)
    sock, _ = front._listener.accept()
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert "TLS fails" in work.wait_for_line("TLS").text
    sock.close()
