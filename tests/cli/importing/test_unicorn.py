"""unicorn and Rainbows!: their file and their command line."""

from pathlib import Path

from drawbar.cli.importing.unicorn import UNICORN_FLAGS, UNICORN_RULES
from tests.cli.importing.imported import from_file, from_line


def test_every_option_has_a_rule() -> None:
    assert {flag.name for flag in UNICORN_FLAGS.values()} <= set(UNICORN_RULES)


def test_a_whole_file(tmp_path: Path) -> None:
    done = from_file(
        tmp_path / "unicorn.rb",
        "worker_processes 4\n"
        "timeout 15\n"
        'listen "/run/u.sock", :backlog => 64, :umask => 0\n'
        'listen 8080, tries: -1, tcp_nopush: true\nlisten "*:9000"\n'
        'user "www", "www-data"\n'
        "preload_app true\n"
        "rewindable_input false\n"
        "check_client_connection false\n"
        "before_fork do |server, worker|\n  defined?(A) and A.stop\nend\n",
    )
    assert done.settings == {
        "server.bind": "unix:/run/u.sock,0.0.0.0:8080,0.0.0.0:9000",
        "server.backlog": "64",
        "server.unix_mode": "0777",
        "server.workers": "4",
        "listen.bind_tries": "0",
        "app.threads": "1",
        "app.stream_input": "true",
        "lifecycle.preload": "true",
        "timeouts.request": "15s",
        "process.user": "www",
        "process.group": "www-data",
    }
    assert [line.split(":")[0] for line in done.missing] == ["before_fork = a block"]


def test_rainbows(tmp_path: Path) -> None:
    done = from_file(
        tmp_path / "rainbows.rb",
        "Rainbows! do\n  use :ThreadPool\n  worker_connections 100\n  client_max_body_size nil\nend\n",
    )
    assert done.settings == {
        "server.bind": "0.0.0.0:8080",
        "limits.connections": "100",
        "limits.body_bytes": "0",
    }
    assert [line.split(":")[0] for line in done.missing] == ["use = ThreadPool"]


def test_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "u.rb").write_text("worker_processes 4\nlisten 81\n")
    done = from_line(["unicorn", "-c", str(tmp_path / "u.rb"), "-l", "82", "-E", "production"], tmp_path)
    assert (done.settings["server.workers"], done.settings["server.bind"]) == ("4", "0.0.0.0:82")
    assert from_line(["unicorn", "-p", "90"], tmp_path).settings["server.bind"] == "0.0.0.0:90"
