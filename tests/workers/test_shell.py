"""The worker of ten lines: curl, jq, and a command that answers."""

import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.server import ROOT
from tests.workers.conftest import Client, Opens, Worker, Workers, leave_while_asked, need
from tests.workers.fronts import TOKEN, AnyFront
from tests.workers.runtimes import SITES, WORKERS

BINARY = bytes(range(256)) * 256
PROGRAM = WORKERS / "shell/worker.sh"
COMMAND = [str(PROGRAM), str(SITES / "shell/answer")]


@pytest.fixture
def site(worker: Workers, front: AnyFront) -> Worker:
    """One of them."""
    need("bash", "curl", "jq", "base64")
    return worker(COMMAND, DRAWBAR_FROM=front.url, DRAWBAR_APP="site", WAIT="1", says="")


def test_is_short() -> None:
    assert len(PROGRAM.read_text().splitlines()) <= 12


def test_serves_again_and_again(site: Worker, ask: Client) -> None:
    for _ in range(3):
        response = ask("GET", "/hello")
        assert (response.status, response.body, response.header("content-type")) == (200, b"hello", "text/plain")
    assert ask("GET", "/missing").status == 404


def test_passes_a_request_whole(site: Worker, ask: Client) -> None:
    response = ask("POST", "/echo?a=$(id)&b='c", "X-Many: `id`", "X-Many: two", body=BINARY)
    assert response.body == BINARY
    assert response.header("x-method") == "POST"
    assert response.header("x-query") == "a=$(id)&b='c"
    assert response.header("x-many") == "`id`, two"


def test_keeps_repeated_fields_apart(site: Worker, ask: Client) -> None:
    response = ask("GET", "/cookies")
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]


def test_a_command_that_fails_is_a_500(site: Worker, ask: Client) -> None:
    assert ask("GET", "/fail").status == 500
    site.log.wait_for("on purpose")
    assert ask("GET", "/hello").body == b"hello"


def test_finishes_what_it_has_and_leaves(site: Worker, ask: Client, tmp_path: Path) -> None:
    assert leave_while_asked(site, ask, tmp_path / "gate") == b"done"


def test_brings_its_token(worker: Workers, make_front: Callable[..., AnyFront], tmp_path: Path) -> None:
    need("bash", "curl", "jq", "base64")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    front = make_front(token=TOKEN)
    env = {"DRAWBAR_FROM": front.url, "DRAWBAR_APP": "site", "WAIT": "1", "DRAWBAR_TOKEN_FILE": str(tmp_path / "token")}
    worker(COMMAND, says="", **env)
    assert Client(front.public)("GET", "/hello").body == b"hello"


def test_by_a_unix_socket(worker: Workers, door: Opens, ask: Client, tmp_path: Path) -> None:
    need("bash", "curl", "jq", "base64")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "api"))
    listener.listen()
    door(listener)
    env = {"DRAWBAR_FROM": f"unix:{tmp_path / 'api'}", "DRAWBAR_APP": "site", "WAIT": "1"}
    site = worker(COMMAND, says="", **env)
    assert ask("GET", "/hello").body == b"hello"
    site.stop()


def test_waits_for_a_front_that_is_not_there(worker: Workers, front: AnyFront, ask: Client) -> None:
    need("bash", "curl", "jq", "base64")
    front.close_api()
    site = worker(COMMAND, DRAWBAR_FROM=front.url, DRAWBAR_APP="site", WAIT="1", says="")
    site.log.wait_for("Failed to connect")
    front.open_api()
    assert ask("GET", "/hello").body == b"hello"


def test_the_first_worker_of_the_documentation_works(worker: Workers, front: AnyFront, ask: Client) -> None:
    need("curl", "jq")
    text = (ROOT / "docs/workers.md").read_text()
    script = text.partition("```sh\n")[2].partition("```")[0]
    script = (
        script.replace("http://localhost:4242", front.url).replace("app=shop", "app=site").replace("wait=30", "wait=1")
    )
    # It is not told to leave, so that happens between two requests.
    site = worker(["sh", "-c", script], says="")
    assert ask("GET", "/some/where").body == b"You asked for /some/where\n"
    assert ask("GET", "/else").body == b"You asked for /else\n"
    site.process.terminate()
    site.wait(status=-signal.SIGTERM)
