"""The commands, as an operator meets them."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import drawbar
from drawbar import supervisor
from drawbar.cli.commands import program
from drawbar.config import Config
from drawbar.config.sources import Loaded
from tests.support.front import Authority

APP = "def app(environ, start_response): return []\nasync def main(scope, receive, send): pass\n"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test starts in a directory with an application, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in os.environ:
        if name.startswith("DRAWBAR_") or name == "WEB_CONCURRENCY":
            monkeypatch.delenv(name)
    (tmp_path / "site_a.py").write_text(APP)
    yield tmp_path
    sys.modules.pop("site_a", None)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that commands hand to the supervisor, which here serves nothing and exits with 7."""
    configs: list[Config] = []

    def record(read: Callable[[], Loaded]) -> int:
        configs.append(read().config)
        # A reload reads the same again.
        assert read().config == configs[-1]
        return 7

    monkeypatch.setattr(supervisor, "run", record)
    return configs


def invoke(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(program, list(arguments), env=environ)


def refusal(*arguments: str, **environ: str) -> str:
    """The one line a mistake is told in."""
    result = invoke(*arguments, **environ)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("drawbar: error: ")
    return result.stderr.removeprefix("drawbar: error: ").rstrip("\n")


def test_run_hands_over_the_configuration_and_exits_with_the_servers_code(served: list[Config]) -> None:
    result = invoke("run", "site_a:app", "--bind", ":0", "--threads", "2", "--keepalive-timeout", "2m")
    assert result.exit_code == 7
    (config,) = served
    assert config.app.target == "site_a:app"
    assert [str(bind) for bind in config.server.bind] == [":0"]
    assert str(config.app.threads) == "2"
    assert config.timeouts.keepalive == 120


def test_the_target_may_come_from_the_configuration(served: list[Config], directory: Path) -> None:
    assert invoke("run", DRAWBAR_TARGET="from_environment").exit_code == 7
    (directory / "drawbar.toml").write_text('[app]\ntarget = "from_file"\n')
    assert invoke("run").exit_code == 7
    assert invoke("run", "from_argument", DRAWBAR_TARGET="from_environment").exit_code == 7
    assert [config.app.target for config in served] == ["from_environment", "from_file", "from_argument"]


def test_no_target() -> None:
    right = "write drawbar run module:app, or set app.target, or a target in [apps.NAME], in drawbar.toml"
    assert refusal("run") == f"no application to serve; {right}"


def test_work_needs_a_target_and_a_front(directory: Path) -> None:
    right = "write drawbar work module:app --from http://HOST:4242, or set app.target in drawbar.toml"
    assert refusal("work") == refusal("work", "--from", "unix:/a") == f"no application to serve; {right}"
    # Tables are the front's.
    (directory / "drawbar.toml").write_text('[apps.blog]\ntarget = "blog"\n')
    assert refusal("work") == f"no application to serve; {right}"
    right = "write drawbar work site_a --from http://HOST:4242, the API of a front (drawbar serve), or set work.front"
    assert refusal("work", "site_a") == f"no front to take requests from; {right} in drawbar.toml"


def test_a_target_beside_applications_with_workers_is_told(served: list[Config], directory: Path) -> None:
    (directory / "drawbar.toml").write_text('[apps.blog]\ntarget = "blog"\n[apps.far]\nprefix = "/far"\n')
    result = invoke("run", "site_a")
    # Once more as a reload reads the same.
    assert result.stderr.splitlines() == 2 * [
        "drawbar: warning: site_a is served alone; [apps.blog] would be without a TARGET and without app.target"
    ]
    assert not invoke("run").stderr
    assert [config.app.target for config in served] == ["site_a", None]


def test_dev_presets_give_way_to_options_only(served: list[Config], directory: Path) -> None:
    (directory / "drawbar.toml").write_text("[server]\nworkers = 4\n[app]\ndebug = false\n")
    assert invoke("dev", "site_a", "--access-log", "off", DRAWBAR_RELOAD="no").exit_code == 7
    (config,) = served
    assert (config.server.workers, config.server.reload, config.app.debug, config.log.access) == (1, True, True, "off")
    assert config.timeouts.graceful == 3.0


def test_check_says_what_it_found(directory: Path) -> None:
    (directory / "drawbar.toml").write_text("[server]\nworkers = 3\n")
    result = invoke("check", "site_a", "--bind", ":80", "--bind", "unix:/run/a", DRAWBAR_THREADS="2:4")
    assert result.stderr == ""
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "application  site_a:app",
        "interface    WSGI",
        "listens on   :80",
        "listens on   unix:/run/a",
        "workers      3",
        "concurrency  threads 2:4",
        "file         drawbar.toml",
        "setting      server.bind = :80,unix:/run/a (from --bind)",
        "setting      server.workers = 3 (from drawbar.toml)",
        "setting      app.target = site_a (from TARGET)",
        "setting      app.threads = 2:4 (from DRAWBAR_THREADS)",
        "ok",
    ]


SEVERAL = """
[apps.blog]
target = "site_a:app"
workers = 2
[apps.shop]
prefix = "/shop"
command = ["ruby", "worker.rb"]
[apps.old]
prefix = "/old"
"""


def test_check_of_several_applications(directory: Path) -> None:
    (directory / "drawbar.toml").write_text(SEVERAL)
    result = invoke("check")
    assert result.stderr == ""
    assert result.stdout.splitlines()[:5] == [
        "listens on   127.0.0.1:8000",
        "application  blog: site_a:app (WSGI, threads 1:8), 2 workers",
        "application  shop: ruby worker.rb, 1 process",
        "application  old: pulled by workers elsewhere",
        "file         drawbar.toml",
    ]


FRONT = """
[apps.old]
prefix = "/old"
[api]
cert_file = "front.pem"
"""


def test_check_of_what_is_a_fronts_alone(directory: Path) -> None:
    (directory / "drawbar.toml").write_text(FRONT)
    right = "put into it what it is named for, in PEM"
    (directory / "front.pem").touch()
    assert refusal("check") == f"--api-cert-file: front.pem cannot be used: it is empty; {right}"
    Authority(directory).issue("front")
    both = (directory / "front.pem").read_text() + (directory / "front.key").read_text()
    (directory / "front.pem").write_text(both)
    result = invoke("check")
    assert result.stderr == ""
    assert result.stdout.splitlines() == [
        "listens on   0.0.0.0:8080",
        "application  old: pulled by workers elsewhere",
        "certificate  front.pem",
        "file         drawbar.toml",
        "setting      server.bind = 0.0.0.0:8080 (from drawbar serve)",
        "setting      api.bind = 127.0.0.1:4242 (from drawbar serve)",
        "setting      api.cert_file = front.pem (from drawbar.toml)",
        "setting      apps.old.prefix = /old (from drawbar.toml)",
        "ok",
    ]


def test_check_names_the_application_that_cannot_be_imported(directory: Path) -> None:
    (directory / "drawbar.toml").write_text(SEVERAL.replace("site_a:app", "site_a:ap"))
    assert refusal("check") == "site_a:ap: module 'site_a' has no attribute 'ap'; did you mean site_a:app?"


@pytest.mark.parametrize(
    ("arguments", "toml", "split"),
    [
        (["run", "site_a"], SEVERAL, False),
        (["run", "site_a", "--split"], "", True),
        (["run"], SEVERAL, True),
        (["dev", "site_a"], "[server]\nsplit = true\n", True),
        (["serve"], "", True),
        (["work", "site_a", "--from", "unix:/a"], "[server]\nsplit = true\n", False),
    ],
)
def test_when_there_is_a_front(
    served: list[Config], directory: Path, arguments: list[str], toml: str, split: bool
) -> None:
    (directory / "drawbar.toml").write_text(toml)
    assert invoke(*arguments).exit_code == 7
    (config,) = served
    assert config.server.split is split


def test_run_without_target_needs_an_application_that_it_can_start(directory: Path) -> None:
    (directory / "drawbar.toml").write_text("[server]\nsplit = true\n[apps.old]\nprefix = '/old'\n")
    assert refusal("run").startswith("no application to serve; write drawbar run module:app")
    assert refusal("run").endswith("; for [apps.old], with workers elsewhere, the front is drawbar serve")


def test_check_of_an_asgi_application() -> None:
    lines = invoke("check", "site_a:main", "--loop", "asyncio").stdout.splitlines()
    assert lines[:2] == ["application  site_a:main", "interface    ASGI"]
    assert "event loop   asyncio" in lines
    assert "file         none" in lines


def test_check_knows_which_event_loop_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "event loop   uvloop" in invoke("check", "site_a:main").stdout.splitlines()
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert "event loop   asyncio" in invoke("check", "site_a:main").stdout.splitlines()
    assert refusal("check", "site_a:main", "--loop", "uvloop").startswith("app.loop: uvloop is not installed")


def test_check_tells_mistakes() -> None:
    assert refusal("check", "site_b:app").startswith("site_b:app: there is no module 'site_b' in ")
    assert refusal("check", "site_a:ap") == "site_a:ap: module 'site_a' has no attribute 'ap'; did you mean site_a:app?"
    assert refusal("check", "site_a", "--bind", "x") == "--bind: 'x' has no port; write x:8000"
    assert refusal("check", "site_a", DRAWBAR_WORKERS="0").startswith("DRAWBAR_WORKERS: '0' is not a number of workers")
    assert refusal("check", "site_a", "--hook-worker-ready", "site_a:ap") == (
        "hooks.worker_ready = site_a:ap: module 'site_a' has no function 'ap'; did you mean site_a:app?"
    )
    assert refusal("check", "site_a", "--config", "no.toml").startswith("--config: there is no file 'no.toml'")


def test_a_variable_that_is_nearly_a_setting_is_a_warning() -> None:
    result = invoke("check", "site_a", DRAWBAR_BINDS=":80")
    assert result.exit_code == 0
    assert result.stderr == "drawbar: warning: DRAWBAR_BINDS: no such setting, ignored; did you mean DRAWBAR_BIND?\n"


def test_usage_mistakes() -> None:
    assert "Did you mean one of: '--access-log', '--backlog'?" in refusal("check", "--backlg", "x")
    assert refusal("check", "a", "b").endswith("; see drawbar check --help")
    assert refusal("serv") == "there is no command 'serv'; did you mean drawbar serve?"


@pytest.mark.parametrize(
    ("arguments", "environ"), [(["--log-level", "debug"], {}), ([], {"DRAWBAR_LOG_LEVEL": "debug"})]
)
def test_debug_shows_the_traceback(directory: Path, arguments: list[str], environ: dict[str, str]) -> None:
    (directory / "site_a.py").write_text("1 / 0\n")
    result = invoke("check", "site_a", *arguments, **environ)
    assert result.exit_code == 2
    assert "Traceback (most recent call last)" in result.stderr
    assert "ZeroDivisionError" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("drawbar: error: site_a: importing 'site_a' failed")


def test_debug_in_the_file_shows_the_traceback_of_a_target_too(directory: Path) -> None:
    (directory / "drawbar.toml").write_text('[log]\nlevel = "debug"\n')
    assert "Traceback (most recent call last)" in invoke("check", "site_b").stderr


def test_debug_shows_the_traceback_of_a_broken_configuration() -> None:
    assert (
        "Traceback (most recent call last)" in invoke("check", "site_a", "--bind", "x", "--log-level", "debug").stderr
    )


def test_a_fault_of_ours_is_not_disguised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(read: object) -> int:
        raise RuntimeError("ours")

    monkeypatch.setattr(supervisor, "run", fail)
    assert isinstance(invoke("run", "site_a").exception, RuntimeError)


def test_an_interrupt_exits_as_the_shell_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(read: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(supervisor, "run", interrupt)
    assert invoke("run", "site_a").exit_code == 130


def test_version() -> None:
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"drawbar {drawbar.__version__} (Python 3.")


def test_no_command_shows_help() -> None:
    result = invoke()
    assert result.exit_code == 2
    assert "Usage: drawbar" in result.stderr
    assert all(name in result.stderr for name in ("run", "dev", "check"))


def process(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """A real process, started the way operators do."""
    return subprocess.run([sys.executable, "-m", "drawbar", *arguments], capture_output=True, text=True, timeout=30)


def test_a_process_that_succeeds() -> None:
    done = process("check", "site_a:app")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "ok"


def test_processes_that_fail(directory: Path) -> None:
    done = process("check", "site_a:nothing_near")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "drawbar: error: site_a:nothing_near: module 'site_a' has no attribute 'nothing_near'; "
        "candidates are site_a:app, site_a:main\n"
    )
    (directory / "drawbar.toml").write_text("[server]\nport = 80\n")
    done = process("run", "site_a:app")
    assert done.returncode == 2
    assert done.stderr.startswith("drawbar: error: drawbar.toml: server.port: no such key; ")
    assert done.stderr.count("\n") == 1
