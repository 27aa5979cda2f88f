"""Which server is meant, and what is said when it is none."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drawbar.cli.control import client
from drawbar.cli.control.client import Client, Refused, choose
from drawbar.config import OperatorError
from tests.support.desk import Desked

UID = os.geteuid()


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which servers are looked for in a directory of this test alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client, "directories", lambda environ, uid: [str(tmp_path / "drawbar")])
    monkeypatch.setattr(
        "drawbar.supervisor.control.instances.directories", lambda environ, uid: [str(tmp_path / "drawbar")]
    )
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Desked]:
    with Desked(env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}) as master:
        yield master


def refusal(control: str | None, environ: dict[str, str]) -> str:
    with pytest.raises(OperatorError) as caught:
        choose(control, environ, UID)
    return str(caught.value)


def test_no_server(environ: dict[str, str], tmp_path: Path) -> None:
    right = "name one with --control PATH or --control PID"
    assert refusal(None, environ) == f"no server of yours is running (looked in {tmp_path}/drawbar); {right}"


def test_the_only_server(environ: dict[str, str], running: Desked) -> None:
    assert choose(None, environ, UID).get("/status", dict[str, Any])["pid"] == running.pid


def test_a_server_by_its_process_id(environ: dict[str, str], running: Desked) -> None:
    assert choose(str(running.pid), environ, UID).path == running.path
    said = refusal("1", environ)
    assert said.startswith("--control: there is no control socket of a server with process id 1 in ")
    assert said.endswith(f"; running are {running.pid}")


def test_a_server_by_its_pid_file(environ: dict[str, str], running: Desked, tmp_path: Path) -> None:
    file = tmp_path / "shop.pid"
    file.write_text(f"{running.pid}\n")
    assert choose(str(file), environ, UID).path == running.path


@pytest.mark.parametrize("text", ["", "shop", "12345678901", "1 2", "\xb2\xb2"])
def test_a_file_that_is_no_pid_file(environ: dict[str, str], tmp_path: Path, text: str) -> None:
    file = tmp_path / "shop.pid"
    file.write_text(text, encoding="utf-8")
    right = "name a control socket, a process id or a pid file"
    assert refusal(str(file), environ) == f"--control: {file} names no server; {right}"


def test_several_servers_are_listed(environ: dict[str, str], running: Desked, tmp_path: Path) -> None:
    with Desked(env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}) as other:
        said = refusal(None, environ)
        assert said.startswith("2 servers are running: ")
        for master in (running, other):
            assert f"{master.pid} (shop:app)" in said


def test_of_several_servers_the_one_started_here_is_meant(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    places = [tmp_path / name for name in ("first", "second")]
    for place in places:
        place.mkdir()
    with Desked(env=variables, cwd=places[0]) as first, Desked(env=variables, cwd=places[1]) as second:
        for place, master in zip(places, (first, second), strict=True):
            monkeypatch.chdir(place)
            assert choose(None, environ, UID).path == master.path
            told = f"drawbar: note: 2 servers are running: this is {master.pid} (shop:app), which was started here\n"
            assert capsys.readouterr().err == told
        monkeypatch.chdir(tmp_path)
        assert refusal(None, environ).startswith("2 servers are running: ")


@contextmanager
def serving_status(directory: Path, pid: int, status: dict[str, Any]) -> Iterator[str]:
    """Somebody at the control socket of that process id who answers with this status, whatever is asked."""
    directory.mkdir(mode=0o700, exist_ok=True)
    path = str(directory / f"{pid}.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    if connection.recv(65536):
                        body = msgspec.json.encode(status)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RD)
            thread.join()


# Beyond what the kernel gives: no process has them.
FRONT, OTHER, WORKERS = 9_000_001, 9_000_002, 9_000_003


def test_of_several_servers_the_front_for_the_application_is_meant(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = tmp_path / "drawbar"
    queues = {"front": {"queues": [{"app": "blog"}, {"app": "shop"}]}, "target": None}
    with (
        serving_status(places, FRONT, queues) as path,
        serving_status(places, OTHER, {"front": None, "target": "shop:app"}),
    ):
        assert choose(None, environ, UID, "blog").path == path
        told = f"this is {FRONT} (a front for blog, shop), which has that application\n"
        assert capsys.readouterr().err == f"drawbar: note: 2 servers are running: {told}"
        listed = f"2 servers are running: {FRONT} (a front for blog, shop), {OTHER} (shop:app); "
        for app in (None, "news"):
            with pytest.raises(OperatorError) as caught:
                choose(None, environ, UID, app)
            assert str(caught.value).startswith(listed)


def test_of_two_servers_one_of_which_is_stopping_the_other_is_meant(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = tmp_path / "drawbar"
    with (
        serving_status(places, FRONT, {"phase": "draining", "target": "shop:app"}),
        serving_status(places, OTHER, {"phase": "serving", "target": "shop:app"}) as path,
    ):
        assert choose(None, environ, UID).path == path
        told = f"this is {OTHER} (shop:app), as the others are stopping\n"
        assert capsys.readouterr().err == f"drawbar: note: 2 servers are running: {told}"


def test_of_several_fronts_for_the_application_none_is_meant(environ: dict[str, str], tmp_path: Path) -> None:
    places = tmp_path / "drawbar"
    queues = {"front": {"queues": [{"app": "blog"}]}, "target": None}
    with (
        serving_status(places, FRONT, queues),
        serving_status(places, OTHER, queues),
        serving_status(places, WORKERS, {"front": None, "target": "blog:app"}),
        pytest.raises(OperatorError, match="3 servers are running"),
    ):
        choose(None, environ, UID, "blog")


def test_the_socket_that_environment_or_file_name(environ: dict[str, str], tmp_path: Path) -> None:
    assert choose(None, {**environ, "DRAWBAR_CONTROL_SOCKET": "/run/a.sock"}, UID).path == "/run/a.sock"
    (tmp_path / "drawbar.toml").write_text('[control]\nsocket = "/run/b.sock"\n')
    assert choose(None, environ, UID).path == "/run/b.sock"
    assert choose("/run/c.sock", environ, UID).path == "/run/c.sock"
    # A file that is being mended locks nobody out.
    (tmp_path / "drawbar.toml").write_text("[control")
    assert refusal(None, environ).startswith("no server of yours is running")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "there is no control socket at {path}; is the server running?"),
        ("dead", "nobody answers at {path}; the server has ended"),
        ("l" * 120, "cannot connect to {path} (AF_UNIX path too long); name a Unix socket"),
    ],
)
def test_no_way_in(tmp_path: Path, name: str, why: str) -> None:
    path = tmp_path / name
    if name == "dead":
        with socket.socket(socket.AF_UNIX) as ended:
            ended.bind(str(path))
    with pytest.raises(OperatorError) as caught:
        Client(str(path)).get("/status", dict[str, Any])
    assert str(caught.value) == why.format(path=path)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "went away without an answer"),
        (b"garbage\r\n\r\n", "went away without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n[1]", "is not understood"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n[]", "the server answered 500 Oh"),
        (b'HTTP/1.1 409 No\r\nContent-Length: 20\r\n\r\n{"detail":"not now"}', "not now"),
    ],
)
def test_answers_that_are_none(tmp_path: Path, answer: bytes, why: str) -> None:
    path = str(tmp_path / "odd.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Refused, match=why):
            Client(path).get("/status", dict[str, Any])
        thread.join()
