"""Where settings come from and which source wins."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from drawbar.config import Config, OperatorError, TcpBind, ThreadRange
from drawbar.config.settings import SETTINGS
from drawbar.config.sources import Loaded, Origin, load

Write = Callable[..., str]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test starts in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(directory: Path) -> Write:
    """Writes a configuration file and returns its name."""

    def to_file(text: str, name: str = "drawbar.toml") -> str:
        (directory / name).write_text(text)
        return name

    return to_file


def origin(loaded: Loaded, key: str) -> tuple[Origin, str]:
    (item,) = (item for item in loaded.effective if item.setting.key == key)
    return item.origin, item.place


def refusal(
    options: dict[str, object] | None = None, environ: dict[str, str] | None = None, file: str | None = None
) -> str:
    with pytest.raises(OperatorError) as raised:
        load(options or {}, environ or {}, file=file)
    return str(raised.value)


def test_nothing_said_is_the_default_tree() -> None:
    loaded = load({}, {})
    assert loaded.config == Config()
    assert loaded.changed() == ()
    assert loaded.file is None
    assert len(loaded.effective) == len(SETTINGS)


def test_precedence(write: Write) -> None:
    key = "server.workers"
    assert load({}, {}).config.server.workers == 1

    environ = {"WEB_CONCURRENCY": "2"}
    assert (load({}, environ).config.server.workers, origin(load({}, environ), key)) == (
        2,
        (Origin.FALLBACK, "WEB_CONCURRENCY"),
    )
    write("[server]\nworkers = 3")
    assert (load({}, environ).config.server.workers, origin(load({}, environ), key)) == (
        3,
        (Origin.FILE, "drawbar.toml"),
    )

    environ["DRAWBAR_WORKERS"] = "4"
    assert (load({}, environ).config.server.workers, origin(load({}, environ), key)) == (
        4,
        (Origin.ENVIRONMENT, "DRAWBAR_WORKERS"),
    )
    loaded = load({}, environ, presets={key: "5"}, command="drawbar dev")
    assert (loaded.config.server.workers, origin(loaded, key)) == (5, (Origin.COMMAND, "drawbar dev"))

    loaded = load({key: "auto"}, environ, presets={key: "5"}, command="drawbar dev")
    assert (loaded.config.server.workers, origin(loaded, key)) == ("auto", (Origin.OPTION, "--workers"))


def test_an_empty_variable_of_common_use_says_nothing() -> None:
    assert load({}, {"WEB_CONCURRENCY": ""}).config.server.workers == 1


@pytest.mark.parametrize("setting", SETTINGS, ids=[setting.key for setting in SETTINGS])
def test_every_setting_can_be_given_by_environment(setting: object) -> None:
    item = next(each for each in SETTINGS if each is setting)
    loaded = load({}, {item.env: item.show(item.default)})
    assert [(each.setting.key, each.value) for each in loaded.changed()] == [(item.key, item.default)]


def test_a_file_fills_the_tree(write: Write) -> None:
    write(
        """
        [server]
        bind = ["127.0.0.1:80", "[::1]:80"]
        unix_mode = "0660"
        [app]
        target = "mysite.wsgi"
        threads = 4
        [limits]
        body_bytes = "10m"
        [timeouts]
        keepalive = 2.5
        [proxy]
        trusted = ["10.0.0.0/8", "unix"]
        [websocket]
        compression = false
        """
    )
    config = load({}, {}).config
    assert config.server.bind == (TcpBind("127.0.0.1", 80), TcpBind("::1", 80))
    assert config.server.unix_mode == 0o660
    assert config.app.target == "mysite.wsgi"
    assert config.app.threads == ThreadRange(4, 4)
    assert config.limits.body_bytes == 10 << 20
    assert config.timeouts.keepalive == 2.5
    assert [str(network) for network in config.proxy.trusted] == ["10.0.0.0/8", "unix"]
    assert config.websocket.compression is False


def test_the_file_that_is_named(write: Write) -> None:
    write("[server]\nworkers = 2")
    write("[server]\nworkers = 3", "other.toml")
    assert load({}, {}).config.server.workers == 2
    assert load({}, {"DRAWBAR_CONFIG": "other.toml"}).config.server.workers == 3
    loaded = load({}, {"DRAWBAR_CONFIG": "other.toml"}, file="drawbar.toml")
    assert (loaded.config.server.workers, loaded.file) == (2, "drawbar.toml")


def test_a_named_file_must_exist() -> None:
    assert refusal(file="no.toml") == "--config: there is no file 'no.toml'; name a TOML file that exists"
    assert refusal(environ={"DRAWBAR_CONFIG": "no.toml"}).startswith("DRAWBAR_CONFIG: there is no file 'no.toml'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = ", "drawbar.toml: is not valid TOML: Invalid value (at "),
        (
            "[timeouts]\nkeepalve = 3",
            "drawbar.toml: timeouts.keepalve: no such key; did you mean keepalive? [timeouts] takes ",
        ),
        (
            "[timeouts]\nzzz = 3",
            "timeouts.zzz: no such key; [timeouts] takes head, keepalive, body, send, linger, graceful",
        ),
        ("[server]\nthreads = 3", "drawbar.toml: server.threads: no such key; did you mean app.threads?"),
        ("[server]\nkeepalive_timeout = 3", "server.keepalive_timeout: no such key; did you mean timeouts.keepalive?"),
        (
            "[sever]\nbind = []",
            "drawbar.toml: sever: no such section; did you mean [server]? sections are server, listen, ",
        ),
        ("bind = []", "drawbar.toml: bind: no such section; did you mean server.bind? sections are"),
        ("zzzzz = 1", "drawbar.toml: zzzzz: no such section; sections are server,"),
        ("server = 3", "drawbar.toml: server: is not a table; write [server] above its keys"),
        ('[timeouts]\nhead = "3x"', "drawbar.toml: timeouts.head: '3x' is not a duration; write seconds such as 30"),
        ("[timeouts]\nhead = 0", "drawbar.toml: timeouts.head: 0 is out of range; write a value from 0.1s to 24h"),
        ('[app]\ninterface = "cgi"', "drawbar.toml: app.interface: 'cgi' is not one of auto, wsgi, asgi"),
        (
            '[proxy]\ntrusted = ["10.0.0.1/8"]',
            "drawbar.toml: proxy.trusted: '10.0.0.1/8' has bits set behind its prefix",
        ),
    ],
)
def test_a_mistake_in_a_file_names_file_and_key(write: Write, text: str, message: str) -> None:
    write(text)
    assert message in refusal()
    assert "\n" not in refusal()


def test_a_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    # A directory cannot be read by root either; the file is there when it is looked for.
    monkeypatch.setattr("os.path.isfile", lambda path: True)
    os.mkdir("folder.toml")
    assert refusal(file="folder.toml") == "folder.toml: cannot be read: Is a directory"


def test_a_file_that_is_not_text(directory: Path) -> None:
    (directory / "drawbar.toml").write_bytes(b"\xff\xfe")
    assert refusal().startswith("drawbar.toml: is not valid TOML: ")


def test_a_mistake_elsewhere_names_the_variable_or_option() -> None:
    assert refusal(environ={"DRAWBAR_BIND": "x"}) == "DRAWBAR_BIND: 'x' has no port; write x:8000"
    assert refusal({"server.bind": "x"}) == "--bind: 'x' has no port; write x:8000"
    assert refusal(environ={"WEB_CONCURRENCY": "x"}).startswith("WEB_CONCURRENCY: 'x' is not a number of workers")


def test_an_overridden_mistake_is_still_one(write: Write) -> None:
    write("[server]\nworkers = 0")
    assert "drawbar.toml: server.workers" in refusal({"server.workers": "1"}, {"DRAWBAR_WORKERS": "2"})


def test_a_contradiction_names_each_side_and_its_source(write: Write) -> None:
    write('[limits]\noutput_low_bytes = "1m"')
    assert refusal({"limits.output_high_bytes": "512k"}) == (
        "limits.output_low_bytes = 1m (from drawbar.toml) and limits.output_high_bytes = 512k "
        "(from --limit-output-high-bytes): the low-water mark must be below the high one"
    )
    assert "limits.output_high_bytes = 256k (default)" in refusal()


def test_a_variable_that_is_nearly_a_setting_is_noted() -> None:
    loaded = load({}, {"DRAWBAR_BINDS": "x", "DRAWBAR_HEAD_TIMOUT": "3"})
    assert loaded.notes == (
        "DRAWBAR_BINDS: no such setting, ignored; did you mean DRAWBAR_BIND?",
        "DRAWBAR_HEAD_TIMOUT: no such setting, ignored; did you mean DRAWBAR_HEAD_TIMEOUT?",
    )


def test_variables_of_a_kubernetes_service_are_not_noted() -> None:
    names = ("PORT", "SERVICE_HOST", "SERVICE_PORT", "PORT_8000_TCP", "PORT_8000_TCP_ADDR", "PORT_8000_TCP_PROTO")
    assert load({}, {f"DRAWBAR_{name}": "tcp://10.0.0.1:8000" for name in names}).notes == ()


def test_what_contradicts_another_section_is_named_with_its_sources(write: Write) -> None:
    write("[hooks]\nbefore_fork = 'site_hooks:close'\n")
    said = refusal()
    assert "hooks.before_fork = site_hooks:close (from drawbar.toml) and lifecycle.preload = false (default)" in said
    assert load({"lifecycle.preload": "true"}, {}).config.hooks.before_fork == "site_hooks:close"
