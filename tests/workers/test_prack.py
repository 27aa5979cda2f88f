"""Prack's own clients, as they are, on lane v1.

They are somebody else's, so they are not in this tree. Clone https://github.com/piradoiv/prack-ruby-examples,
prack-node-examples, prack-php-examples and prack-go into one folder, and name that by PRACK_CLIENTS. What they send
stands in `prack/`, byte for byte, and is tried without them.

The clients know one address, localhost:4242. They run on a copy in which only that port is another one.
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.raw import RawClient
from tests.workers.conftest import NODE_PATH, Client, need
from tests.workers.fronts import AnyFront

RECORDED = sorted(Path(__file__).with_name("prack").glob("*.http"))
# In a recording: the id of the request, and the length that the body has with it.
IDENTIFIER, LENGTH = b"{IDENTIFIER}", b"{LENGTH}"

# The libraries of the PHP clients, from Debian's packages instead of Composer's.
AUTOLOAD = """<?php
foreach (['GuzzleHttp', 'Psr/Http/Message', 'Slim'] as $library) {
    if (stream_resolve_include_path("$library/autoload.php")) require_once "$library/autoload.php";
}
spl_autoload_register(function ($name) {
    $file = __DIR__ . '/../src/' . substr($name, strlen('Prack\\\\')) . '.php';
    if (is_file($file)) require $file;
});
"""


@dataclass(frozen=True)
class Prack:
    """One client. folder: its place in the clones. says: what it answers."""

    name: str
    folder: str
    needs: tuple[str, ...]
    command: tuple[str, ...]
    says: bytes


CLIENTS = [
    Prack(
        "rack",
        "prack-ruby-examples/Rack",
        ("ruby", "/usr/share/doc/ruby-rack"),
        ("ruby", "-rstringio", "server.rb"),
        b"A barebones rack app.",
    ),
    Prack(
        "sinatra",
        "prack-ruby-examples/Sinatra",
        ("ruby", "/usr/share/doc/ruby-sinatra"),
        ("ruby", "-rstringio", "server.rb"),
        b"Hello, Sinatra!",
    ),
    Prack("node", "prack-node-examples", ("node", "/usr/share/nodejs/request"), ("node", "server.js"), b"Hello, Node!"),
    Prack(
        "php",
        "prack-php-examples/PHP",
        ("php", "/usr/share/php/GuzzleHttp"),
        ("php", "server.php"),
        b'{"Hello":"World!"}',
    ),
    Prack(
        "slim",
        "prack-php-examples/SlimFramework",
        ("php", "/usr/share/php/Slim"),
        ("php", "server.php"),
        b"Welcome to Slim!",
    ),
    Prack("go", "prack-go", ("go",), ("./prack",), b"Hello, {"),
]


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def prack(request: pytest.FixtureRequest, tmp_path: Path, front: AnyFront) -> tuple[Prack, Path]:
    """Each of them, and the folder it runs in."""
    client: Prack = request.param
    clones = os.environ.get("PRACK_CLIENTS")
    if not clones:
        pytest.skip("PRACK_CLIENTS names no folder with clones of Prack's clients")
    need(*client.needs)
    port = front.url.rpartition(":")[2]
    for source in (Path(clones) / client.folder.split("/")[0]).rglob("*"):
        if source.is_file() and source.suffix in (".rb", ".js", ".php", ".go"):
            copy = tmp_path / source.relative_to(clones)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(source.read_text().replace("4242", port))
    folder = tmp_path / client.folder
    if client.command[0] == "php":
        (folder / "vendor").mkdir()
        (folder / "vendor/autoload.php").write_text(AUTOLOAD)
    if client.name == "go":
        (folder / "go.mod").write_text("module prack\n\ngo 1.19\n")
        subprocess.run(
            ["go", "build", "-o", "prack", "."],
            cwd=folder,
            env={**os.environ, "GOCACHE": str(tmp_path / "cache")},
            check=True,
        )
    return client, folder


def test_prack_s_own_clients_serve(prack: tuple[Prack, Path], front: AnyFront, ask: Client) -> None:
    client, folder = prack
    process = subprocess.Popen(client.command, cwd=folder, env={**os.environ, "NODE_PATH": NODE_PATH})
    try:
        for _ in range(3):
            response = ask("GET", "/")
            assert response.status == 200
            assert response.body.startswith(client.says)
            assert (response.header("content-type") or "").startswith(("text/html", "application/json"))
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_what_they_send_is_understood(recorded: Path, front: AnyFront, ask: Client) -> None:
    asks, _, answers = recorded.read_bytes().partition(b"\n--\n")
    client = ask.begin("GET", "/")
    host, _, port = front.url.removeprefix("http://").partition(":")
    with RawClient((host, int(port))) as worker:
        worker.send(asks)
        given = worker.response()
    assert (given.status, given.header("content-type")) == (200, "application/json")
    request = json.loads(given.body)
    assert request["environment"]["PATH_INFO"] == "/"
    head, _, body = answers.replace(IDENTIFIER, request["identifier"].encode()).partition(b"\r\n\r\n")
    with RawClient((host, int(port))) as worker:
        worker.send(head.replace(LENGTH, b"%d" % len(body)) + b"\r\n\r\n" + body)
        thanked = worker.response("POST")
    assert (thanked.status, json.loads(thanked.body)) == (200, {"message": "thank you"})
    response = client.response()
    assert response.status == 200
    assert response.body.startswith(next(one.says for one in CLIENTS if one.name == recorded.stem))
