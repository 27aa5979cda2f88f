"""What the workers that dial are told on the command line: tokens, Unix sockets, TLS, and mistakes."""

import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.conftest import Client, Opens, Workers, need
from tests.workers.fronts import TOKEN, AnyFront
from tests.workers.runtimes import RUNTIMES, Runtime


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each of them."""
    found: Runtime = request.param
    need(*found.needs)
    return found


def test_brings_its_token(
    runtime: Runtime, worker: Workers, make_front: Callable[..., AnyFront], tmp_path: Path
) -> None:
    front = make_front(token=TOKEN)
    token = tmp_path / "token"
    token.write_text("wrong\n")
    site = worker(runtime.command(tmp_path, front.url, "--token-file", str(token)))
    site.log.wait_for("it answers .*401")
    # Another one needs no restart.
    token.write_text(f"{TOKEN}\n")
    assert Client(front.public)("GET", "/hello").body == b"hello"
    site.stop()


def test_an_application_the_front_does_not_know(
    runtime: Runtime, worker: Workers, front: AnyFront, tmp_path: Path
) -> None:
    command = runtime.command(tmp_path, front.url)
    command[command.index("site")] = "nobody"
    worker(command).log.wait_for("it answers .*40[34].*nobody")


def test_by_a_unix_socket(runtime: Runtime, worker: Workers, door: Opens, ask: Client, tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "api"))
    listener.listen()
    door(listener)
    site = worker(runtime.command(tmp_path, f"unix:{tmp_path / 'api'}"))
    assert ask("GET", "/hello").body == b"hello"
    site.stop()


def test_by_tls(runtime: Runtime, worker: Workers, door: Opens, ask: Client, tmp_path: Path) -> None:
    need("openssl", *(["/usr/share/perl5/IO/Socket/SSL.pm"] if runtime.name == "perl" else []))
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += [
        "-keyout",
        key,
        "-out",
        certificate,
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    door(listener, tls)
    url = f"https://localhost:{listener.getsockname()[1]}"
    # Who cannot verify the front does not talk to it.
    stranger = worker(runtime.command(tmp_path, url))
    stranger.log.wait_for("(?i)certificate")
    stranger.stop()
    site = worker(runtime.command(tmp_path, url), SSL_CERT_FILE=certificate, NODE_EXTRA_CA_CERTS=certificate)
    assert ask("GET", "/hello").body == b"hello"
    site.stop()


def test_says_what_it_needs(runtime: Runtime, tmp_path: Path) -> None:
    program, application = runtime.build(tmp_path)
    done = subprocess.run([*program, *application], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "--from" in done.stdout + done.stderr


def test_takes_from_the_environment_what_no_option_says(
    runtime: Runtime, worker: Workers, front: AnyFront, ask: Client, tmp_path: Path
) -> None:
    program, application = runtime.build(tmp_path)
    said = {"DRAWBAR_FROM": front.url, "DRAWBAR_APP": "site", "DRAWBAR_LABEL": "v8", "DRAWBAR_SLOTS": "2"}
    site = worker([*program, *application], says="2 slots for site", **said, DRAWBAR_TOKEN_FILE="")
    assert ask("GET", "/hello").body == b"hello"
    site.stop()
    # An option goes before it.
    command = runtime.command(tmp_path, front.url, "--slots", "3")
    worker(command, says="3 slots for site", **{**said, "DRAWBAR_FROM": "http://127.0.0.1:1", "DRAWBAR_APP": "other"})
    assert ask("GET", "/hello").body == b"hello"
