"""What an operator can get wrong before anything is served: one clear line, exit code 2, no traceback unless asked."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import PATIENCE_S

# What makes root different here: it may read, write and search everything, and listen on every port (capabilities(7)).
PRIVILEGES = {"CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_NET_BIND_SERVICE": 10}
PR_CAPBSET_DROP = 24
# Off the bounding set they do not survive the execve(2) of the server.
WITHOUT_PRIVILEGES = f"""
import ctypes, os, sys
if os.geteuid() == 0:
    for privilege in {sorted(PRIVILEGES.values())}:
        assert ctypes.CDLL(None).prctl({PR_CAPBSET_DROP}, privilege, 0, 0, 0) == 0
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
FIRST_FREE_PORT = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
APP = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n\n\nother = app\n"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path) -> Path:
    """Where the server is started, with an application."""
    (tmp_path / "site_a.py").write_text(APP)
    return tmp_path


def start(
    directory: Path, *arguments: str, target: str = "site_a:app", bind: str = "127.0.0.1:0", privileged: bool = True
) -> "subprocess.CompletedProcess[str]":
    """`drawbar run TARGET ARGUMENTS...`, to its end; without TARGET when that is empty."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("DRAWBAR_")}
    command = ["-m", "drawbar", "run", *([target] if target else []), "--bind", bind, *arguments]
    return subprocess.run(
        [sys.executable, *command] if privileged else [sys.executable, "-c", WITHOUT_PRIVILEGES, *command],
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def mistake(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line a server that did not start leaves."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("drawbar: error: ")
    return lines[0].removeprefix("drawbar: error: ")


@pytest.mark.parametrize(
    ("target", "files", "said"),
    [
        ("nowhere:app", {}, "nowhere:app: there is no module 'nowhere' in {cwd} or on the import path"),
        ("site_b:app", {}, "did you mean site_a?"),
        ("no/file.py:app", {}, "no/file.py:app: there is no file 'no/file.py'"),
        ("site_a:ap", {}, "site_a:ap: module 'site_a' has no attribute 'ap'; did you mean site_a:app?"),
        ("site_a:nothing", {}, "has no attribute 'nothing'; candidates are site_a:app"),
        ("site_a:app()", {}, "TARGET: 'site_a:app()' is a call; write site_a:app and add --factory"),
        ("bad:app", {"bad.py": "x = 1\n1 / 0\n"}, "failed: ZeroDivisionError: division by zero (bad.py, line 2)"),
        ("bad:app", {"bad.py": "\n\ndef app(: pass\n"}, "SyntaxError: invalid syntax (bad.py, line 3)"),
        ("bad:app", {"bad.py": "import nothing_such\n"}, "No module named 'nothing_such' (bad.py, line 1)"),
        ("bad:app", {"bad.py": "import inner\n", "inner.py": "\n{}['k']\n"}, "KeyError: 'k' (inner.py, line 2)"),
        ("bad:app", {"bad.py": "import sys\nsys.exit(3)\n"}, "SystemExit: 3 (bad.py, line 2)"),
        ("bad:app", {"bad.py": "app = 42\n"}, "bad:app: it is 42 (int), which cannot be called"),
        ("bad:app", {"bad.py": ""}, "module 'bad' has no attribute 'app'"),
        ("bad", {"bad.py": ""}, "bad: module 'bad' has no app or application"),
    ],
)
def test_targets(directory: Path, target: str, files: dict[str, str], said: str) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)
    line = mistake(start(directory, target=target))
    assert said.replace("{cwd}", str(directory)) in line
    assert line.startswith((target.partition(":")[0], "TARGET: "))


def test_a_bad_factory(directory: Path) -> None:
    (directory / "bad.py").write_text("def make():\n    raise ValueError('no settings')\n")
    line = mistake(start(directory, "--factory", target="bad:make"))
    assert line == "bad:make: calling the factory failed: ValueError: no settings (bad.py, line 2)"


@pytest.mark.parametrize("workers", ["1", "4"])
def test_one_line_however_many_workers(directory: Path, workers: str) -> None:
    (directory / "bad.py").write_text("1 / 0\n")
    assert "(bad.py, line 1)" in mistake(start(directory, "--workers", workers, target="bad:app"))


def test_a_failing_lifespan(directory: Path) -> None:
    (directory / "bad.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'no database'})\n"
    )
    assert "no database" in mistake(start(directory, target="bad:app"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server", "is not valid TOML: Expected ']' at the end of a table declaration (at end of document)"),
        ("[server]\nworkers = 1\nworkers = 2\n", "is not valid TOML: Cannot overwrite a value (at line 3, column 12)"),
        ('[server]\nbnd = ":80"\n', "server.bnd: no such key; did you mean bind? [server] takes bind, backlog, "),
        ("[srver]\nworkers = 1\n", "srver: no such section; did you mean [server]? sections are server, listen, app"),
        ("threads = 3\n", "threads: no such section; did you mean app.threads? sections are server, listen, app"),
        ("server = 3\n", "server: is not a table; write [server] above its keys"),
        ("[server]\nworkers = 0\n", "server.workers: 0 is not a number of workers; write one from 1 to 1024, or auto"),
        ('[log]\nlevel = "loud"\n', "log.level: 'loud' is not one of debug, info, warning, error"),
        ('[limits]\nhead_bytes = "1 elephant"\n', "limits.head_bytes: '1 elephant'"),
        ("[limits]\nhead_bytes = 1\n", "limits.head_bytes: "),
        ("[limits]\nfields = 100000\n", "limits.fields: "),
        ("[timeouts]\nhead = -1\n", "timeouts.head: "),
        ("[app]\nfactory = 3\n", "app.factory: "),
        ('[proxy]\ntrusted = ["10.0.0.0/64"]\n', "proxy.trusted: "),
    ],
)
def test_files(directory: Path, text: str, said: str) -> None:
    (directory / "drawbar.toml").write_text(text)
    assert mistake(start(directory)).startswith(f"drawbar.toml: {said}")


def test_settings_that_contradict_each_other(directory: Path) -> None:
    (directory / "drawbar.toml").write_text('[limits]\noutput_low_bytes = "512k"\n')
    line = mistake(start(directory))
    assert line.startswith("limits.output_low_bytes = 512k (from drawbar.toml) and limits.output_high_bytes = 256k")


def test_files_that_cannot_be_read(directory: Path) -> None:
    assert mistake(start(directory, "--config", "no.toml")) == (
        "--config: there is no file 'no.toml'; name a TOML file that exists"
    )
    (directory / "binary.toml").write_bytes(b"\xff\xfe\x00")
    assert mistake(start(directory, "--config", "binary.toml")).startswith("binary.toml: is not valid TOML: ")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--log-level", "loud", "'loud' is not one of debug, info, warning, error"),
        ("--workers", "many", "'many' is not a number of workers; write one from 1 to 1024, or auto"),
        ("--threads", "8:1", "'8:1'"),
        ("--bind", "127.0.0.1:99999", "'127.0.0.1:99999' has no valid port"),
        ("--head-timeout", "soon", "'soon'"),
        ("--limit-body-bytes", "-1", "'-1'"),
        ("--trusted-proxies", "everybody", "'everybody'"),
        ("--unix-mode", "999", "'999' is not a file mode"),
        ("--interface", "cgi", "'cgi' is not one of auto, wsgi, asgi"),
    ],
)
def test_options(directory: Path, option: str, value: str, said: str) -> None:
    assert mistake(start(directory, option, value)).startswith(f"{option}: {said}")


def test_an_option_there_is_not(directory: Path) -> None:
    line = mistake(start(directory, "--worker", "2"))
    assert line.startswith("No such option '--worker'.")
    assert "'--workers'" in line


def test_a_port_that_is_taken(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        right = "stop the other server or choose another port"
        assert mistake(start(directory, bind=bind)) == f"--bind {bind}: the address is in use; {right}"


def test_a_socket_in_a_directory_that_is_missing(directory: Path) -> None:
    bind = f"unix:{directory}/missing/socket"
    why = "its directory is missing (No such file or directory); create the directory"
    assert mistake(start(directory, bind=bind)) == f"--bind {bind}: {why}"


def test_descriptors_that_are_no_sockets(directory: Path) -> None:
    assert mistake(start(directory, bind="fd://0")).startswith("--bind fd://0: the descriptor is no socket; ")
    assert mistake(start(directory, bind="fd://77")).startswith("--bind fd://77: the descriptor is not open; ")


def test_a_directory_to_change_to_that_is_missing(directory: Path) -> None:
    line = mistake(start(directory, "--chdir", "missing"))
    assert line == "app.chdir: cannot change to 'missing': No such file or directory"


def test_an_application_s_own_directory_that_is_missing(directory: Path) -> None:
    (directory / "apps.toml").write_text('[apps.blog]\ntarget = "site_a:app"\nchdir = "/missing"\n')
    line = mistake(start(directory, "--config", "apps.toml", target=""))
    assert line == "apps.blog.chdir: cannot change to '/missing': No such file or directory"


@pytest.mark.parametrize("option", ["--access-log", "--error-log"])
def test_logs_that_cannot_be_written(directory: Path, option: str) -> None:
    line = mistake(start(directory, option, "missing/log"))
    right = "write a path that can be opened, - or off"
    place = directory / "missing" / "log" if option == "--error-log" else "missing/log"
    assert line == f"{option}: cannot write {place} (No such file or directory); {right}"


def test_a_spill_directory_that_is_missing(directory: Path) -> None:
    line = mistake(start(directory, "--temp-dir", "missing"))
    right = "name a directory that exists and can be written"
    assert line == f"--temp-dir: cannot use missing (No such file or directory); {right}"


@pytest.mark.skipif(int(FIRST_FREE_PORT.read_text()) <= 80, reason="this kernel lets everybody listen on port 80")
def test_a_port_of_root(directory: Path) -> None:
    line = mistake(start(directory, bind="127.0.0.1:80", privileged=False))
    assert line.startswith("--bind 127.0.0.1:80: not permitted (Permission denied); ports below 1024 need ")


def test_a_file_of_others(directory: Path) -> None:
    (directory / "drawbar.toml").touch(0)
    assert mistake(start(directory, privileged=False)) == "drawbar.toml: cannot be read: Permission denied"


@pytest.mark.parametrize("option", ["--access-log", "--error-log"])
def test_a_log_of_others(directory: Path, option: str) -> None:
    log = directory / "log"
    log.touch(0o400)
    line = mistake(start(directory, option, str(log), privileged=False))
    assert line.startswith(f"{option}: cannot write {log} (Permission denied)")


def test_a_spill_directory_of_others(directory: Path) -> None:
    spill = directory / "spill"
    spill.mkdir(0o500)
    line = mistake(start(directory, "--temp-dir", str(spill), privileged=False))
    assert line == f"--temp-dir: cannot write to {spill}; name a directory that exists and can be written"


def test_a_directory_to_change_to_of_others(directory: Path) -> None:
    (directory / "closed").mkdir(0)
    line = mistake(start(directory, "--chdir", "closed", privileged=False))
    assert line == "app.chdir: cannot change to 'closed': Permission denied"


def test_a_socket_in_a_directory_of_others(directory: Path) -> None:
    closed = directory / "closed"
    closed.mkdir(0o500)
    line = mistake(start(directory, bind=f"unix:{closed}/socket", privileged=False))
    assert line.startswith(f"--bind unix:{closed}/socket: not permitted (Permission denied); the directory must be")


@pytest.mark.parametrize(
    ("target", "arguments", "raised"),
    [
        ("bad:app", [], "ZeroDivisionError: division by zero"),
        ("nowhere:app", [], "ModuleNotFoundError: No module named 'nowhere'"),
        ("site_a:app", ["--workers", "many"], "ValueError: 'many' is not a number of workers"),
        ("site_a:app", ["--bind", "unix:missing/socket"], "FileNotFoundError: [Errno 2] No such file or directory"),
        ("site_a:app", ["--access-log", "missing/log"], "FileNotFoundError: [Errno 2] No such file or directory"),
    ],
)
def test_debug_shows_the_traceback(directory: Path, target: str, arguments: list[str], raised: str) -> None:
    (directory / "bad.py").write_text("1 / 0\n")
    done = start(directory, "--log-level", "debug", *arguments, target=target)
    assert done.returncode == 2
    assert "Traceback (most recent call last)" in done.stderr
    assert raised in done.stderr
    assert done.stderr.splitlines()[-1].startswith("drawbar: error: ")
