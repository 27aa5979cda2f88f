"""Hooks: found before anything is served, called with what they are told, and harmless when they fail."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar.config import AppConfig, Config, OperatorError
from drawbar.config.hooks import HooksConfig
from drawbar.hooks import FinishedRequest, ForkServer, Upgrade, Worker
from drawbar.supervisor.hooks import (
    COMPLAINT_INTERVAL_S,
    WORKER_HOOKS,
    Hooks,
    call_before_exec,
    load_hook,
)
from drawbar.supervisor.logs import Log

WORKER = Worker(pid=10, slot=2, app="shop:app", interface="wsgi")
SERVER = ForkServer(pid=9, app="shop:app", interface="wsgi", refork=False)
REQUEST = FinishedRequest(
    method="GET",
    target="/",
    status=200,
    bytes=5,
    duration_ms=1.5,
    client="127.0.0.1",
    complete=True,
    slot=2,
)

SOURCE = """
told = []

def note(argument):
    told.append(argument)

def fail(argument):
    {}["what"]

def leave(argument):
    raise SystemExit(3)

async def later(argument):
    pass

def nothing():
    pass

def many(*arguments):
    told.append(arguments)

text = "no function"

class Teller:
    @staticmethod
    def note(argument):
        told.append(argument)

    @classmethod
    def also(cls, argument):
        told.append(argument)

    def plain(self, argument):
        told.append(argument)

teller = Teller()
"""


class Site:
    """A module with hooks, on the import path while the test runs, and a log."""

    def __init__(self, directory: Path) -> None:
        (directory / "shop_hooks.py").write_text(SOURCE)
        self.directory = directory
        self.path = directory / "error.log"
        self.now = 100.0
        self.level = "info"

    def hooks(self, **functions: str) -> Hooks:
        config = HooksConfig(**{name: f"shop_hooks:{function}" for name, function in functions.items()})
        names = tuple(functions) if "before_fork" in functions else WORKER_HOOKS
        return Hooks(config, self.log(), names, clock=lambda: self.now)  # type: ignore[arg-type]

    def log(self) -> Log:
        return Log(self.level, str(self.path))

    def lines(self) -> list[str]:
        return [line.partition("] ")[2] for line in self.path.read_text().splitlines()]

    @property
    def told(self) -> list[Any]:
        found: list[Any] = importlib.import_module("shop_hooks").told
        return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Site(tmp_path)
    sys.modules.pop("shop_hooks", None)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(OperatorError) as raised:
        call()
    return str(raised.value)


def test_each_is_called_with_what_it_is_told(site: Site) -> None:
    hooks = site.hooks(
        after_fork="note", worker_ready="note", worker_exit="note", request_finished="note", out_of_band="many"
    )
    hooks.after_fork(WORKER)
    hooks.worker_ready(WORKER)
    hooks.request_finished(REQUEST)
    hooks.out_of_band(WORKER)
    hooks.worker_exit(WORKER)
    assert site.told == [WORKER, WORKER, REQUEST, (WORKER,), WORKER]
    assert site.lines() == []


def test_before_fork_is_told_of_the_fork_server(site: Site) -> None:
    site.hooks(before_fork="note").before_fork(SERVER)
    assert site.told == [SERVER]


@pytest.mark.parametrize("name", ["Teller.note", "Teller.also", "teller.plain"])
def test_a_hook_may_be_a_method(site: Site, name: str) -> None:
    site.hooks(after_fork=name).after_fork(WORKER)
    assert site.told == [WORKER]


def test_none_is_needed(site: Site) -> None:
    hooks = site.hooks()
    hooks.after_fork(WORKER)
    hooks.request_finished(REQUEST)
    assert not hooks.has("request_finished")
    assert "shop_hooks" not in sys.modules


def test_only_those_of_its_process_are_loaded(site: Site) -> None:
    config = HooksConfig(before_exec="not_there:at_all", before_fork="not_there:at_all", after_fork="shop_hooks:note")
    assert Hooks(config, site.log(), WORKER_HOOKS).has("after_fork")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not_there:prepare", "hooks.after_fork = not_there:prepare: there is no module 'not_there'"),
        ("shop_hooks:nope", "module 'shop_hooks' has no function 'nope'"),
        ("shop_hooks:nte", "did you mean shop_hooks:note?"),
        ("shop_hooks:text", "text is of type str, not a function"),
        ("shop_hooks:later", "later is async; a hook is a plain function"),
        ("shop_hooks:Tell.note", "module 'shop_hooks' has no function 'Tell'; did you mean shop_hooks:Teller?"),
        ("shop_hooks:Teller.not", "'shop_hooks:Teller' has no function 'not'; did you mean shop_hooks:Teller.note?"),
        ("shop_hooks:Teller.alos", "did you mean shop_hooks:Teller.also?"),
        ("shop_hooks:text.what", "'shop_hooks:text' has no function 'what'"),
        ("shop_hooks:Teller.plain", "Teller.plain cannot be called with one argument; a hook takes one"),
        ("shop_hooks:nothing", "nothing cannot be called with one argument; a hook takes one"),
    ],
)
def test_a_name_that_is_wrong_stops_the_start_and_names_the_setting(site: Site, text: str, said: str) -> None:
    line = refusal(lambda: load_hook("after_fork", text))
    assert line.startswith(f"hooks.after_fork = {text}: ")
    assert said in line


def test_without_what_it_prepares_there_is_no_start(site: Site) -> None:
    line = refusal(lambda: site.hooks(after_fork="fail").after_fork(WORKER))
    assert line.startswith("the hook after_fork (shop_hooks:fail): raised KeyError: 'what' (")
    assert line.endswith(f"shop_hooks.py, line {1 + SOURCE[: SOURCE.index('{}[')].count(chr(10))})")
    assert "raised SystemExit: 3" in refusal(lambda: site.hooks(before_fork="leave").before_fork(SERVER))
    assert site.lines() == []


def test_a_failure_that_can_be_borne_is_one_line(site: Site) -> None:
    site.hooks(worker_ready="fail").worker_ready(WORKER)
    (line,) = site.lines()
    assert line.startswith("error: the hook worker_ready (shop_hooks:fail): raised KeyError: 'what' (")


def test_debug_shows_where_it_failed(site: Site) -> None:
    site.level = "debug"
    site.hooks(worker_exit="leave").worker_exit(WORKER)
    first, *rest = site.lines()
    assert "the hook worker_exit (shop_hooks:leave): raised SystemExit: 3" in first
    assert "debug: Traceback (most recent call last):" in rest


def test_a_hook_that_fails_each_time_does_not_fill_the_log(site: Site) -> None:
    hooks = site.hooks(request_finished="fail", out_of_band="fail")
    for _ in range(5):
        hooks.request_finished(REQUEST)
    hooks.out_of_band(WORKER)
    assert len(site.lines()) == 2
    site.now += COMPLAINT_INTERVAL_S
    hooks.request_finished(REQUEST)
    assert site.lines()[-1].endswith(" (and 4 times since the last such line)")


def test_the_next_master_is_prepared_where_the_application_is(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = Upgrade(pid=12, old_master=11)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(site.directory)])
    monkeypatch.chdir(os.getcwd())
    app = AppConfig(chdir=str(site.directory))
    call_before_exec(Config(app=app, hooks=HooksConfig(before_exec="shop_hooks:note")), site.log(), upgrade)
    assert site.told == [upgrade]
    failing = Config(app=app, hooks=HooksConfig(before_exec="shop_hooks:fail"))
    assert "the hook before_exec (shop_hooks:fail)" in refusal(lambda: call_before_exec(failing, site.log(), upgrade))


def test_an_upgrade_without_a_hook_imports_nothing(site: Site) -> None:
    call_before_exec(Config(app=AppConfig(chdir="/nowhere")), site.log(), Upgrade(pid=12, old_master=11))
