"""What comes of a model of concurrency that an operator asks for."""

import subprocess
import sys

import pytest

from drawbar.config import AppConfig, OperatorError, ThreadRange
from drawbar.supervisor.worker.concurrency import Model, calls_at_once, describe, model_of, prepare, thread_range

ONE = ThreadRange(1, 1)
TWENTY = ThreadRange(10, 20)


@pytest.mark.parametrize(
    ("app", "interface", "model", "at_once", "words"),
    [
        (AppConfig(), "wsgi", "threads", 8, "threads 1:8"),
        (AppConfig(threads=ONE), "wsgi", "inline", 1, "inline"),
        (AppConfig(), "asgi", "tasks", 0, "tasks"),
        (AppConfig(threads=ONE), "asgi", "tasks", 0, "tasks"),
        (AppConfig(concurrency="threads", threads=ONE), "wsgi", "threads", 1, "threads 1"),
        (AppConfig(concurrency="inline"), "wsgi", "inline", 1, "inline"),
        (AppConfig(concurrency="inline", max_concurrency=7), "wsgi", "inline", 1, "inline"),
        (AppConfig(max_concurrency=3), "wsgi", "threads", 3, "threads 1:3"),
        (AppConfig(max_concurrency=3, threads=TWENTY), "wsgi", "threads", 3, "threads 3"),
        (AppConfig(max_concurrency=30, threads=TWENTY), "wsgi", "threads", 20, "threads 10:20"),
        (AppConfig(max_concurrency=50), "asgi", "tasks", 50, "tasks, 50 at once"),
        (AppConfig(concurrency="tasks", max_concurrency=1), "asgi", "tasks", 1, "tasks, 1 at once"),
        (AppConfig(concurrency="greenlets"), "wsgi", "greenlets", 0, "greenlets"),
        (AppConfig(concurrency="greenlets", max_concurrency=9), "wsgi", "greenlets", 9, "greenlets, 9 at once"),
        (AppConfig(concurrency="fork"), "wsgi", "fork", 8, "fork, 8 at once"),
        (AppConfig(concurrency="fork", threads=TWENTY), "wsgi", "fork", 20, "fork, 20 at once"),
        (AppConfig(concurrency="fork", max_concurrency=2), "wsgi", "fork", 2, "fork, 2 at once"),
    ],
)
def test_models(app: AppConfig, interface: str, model: Model, at_once: int, words: str) -> None:
    assert model_of(app, interface) == model
    assert calls_at_once(app, model) == at_once
    assert describe(app, interface) == words


@pytest.mark.parametrize("model", ["inline", "threads", "greenlets", "fork"])
def test_asgi_is_called_by_tasks_only(model: Model) -> None:
    with pytest.raises(OperatorError) as refused:
        model_of(AppConfig(concurrency=model), "asgi")
    assert str(refused.value) == (
        f"app.concurrency: {model} cannot call an application of ASGI; write tasks, or leave it auto"
    )


def test_wsgi_is_not_called_by_tasks() -> None:
    with pytest.raises(OperatorError) as refused:
        model_of(AppConfig(concurrency="tasks"), "wsgi")
    assert str(refused.value) == (
        "app.concurrency: tasks cannot call an application of WSGI; "
        "write inline, threads, greenlets or fork, or leave it auto"
    )


@pytest.mark.parametrize(
    ("app", "words"),
    [(AppConfig(), "threads 1:8"), (AppConfig(concurrency="tasks"), "tasks"), (AppConfig(threads=ONE), "inline")],
)
def test_words_when_the_interface_is_not_known(app: AppConfig, words: str) -> None:
    assert describe(app, "") == words


@pytest.mark.parametrize(
    ("threads", "most", "left"),
    [(TWENTY, 0, TWENTY), (TWENTY, 15, ThreadRange(10, 15)), (TWENTY, 5, ThreadRange(5, 5)), (ONE, 4, ONE)],
)
def test_calls_at_once_bound_the_threads(threads: ThreadRange, most: int, left: ThreadRange) -> None:
    assert thread_range(AppConfig(threads=threads, max_concurrency=most)) == left


def test_nothing_is_prepared_for_the_other_models() -> None:
    for model in ("auto", "inline", "threads", "tasks", "fork"):
        prepare(AppConfig(concurrency=model))
    assert "gevent" not in sys.modules


def test_greenlets_replace_what_blocks_before_the_application_is_imported() -> None:
    # In a process of its own: it cannot be undone.
    code = (
        "from drawbar.config import AppConfig\n"
        "from drawbar.supervisor.worker.concurrency import prepare\n"
        "prepare(AppConfig(concurrency='greenlets'))\n"
        "from gevent.monkey import is_module_patched\n"
        "assert all(map(is_module_patched, ('socket', 'time', 'threading', 'select', 'subprocess', 'queue')))\n"
        "import time\n"
        "print(time.sleep.__module__)\n"
    )
    done = subprocess.run([sys.executable, "-Werror", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("gevent.hub\n", "")


def test_greenlets_without_gevent_are_the_operators_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['gevent'] = None\n"
        "from drawbar.config import AppConfig\n"
        "from drawbar.supervisor.worker.concurrency import prepare\n"
        "prepare(AppConfig(concurrency='greenlets'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1].endswith(
        "OperatorError: app.concurrency: gevent is not installed; "
        "pip install 'drawbar[greenlets]', or choose another model"
    )
