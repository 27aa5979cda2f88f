"""A real master over workers that only pretend to serve, run by the tests as a program of its own.

    python serving.py EVENTS_FD BEHAVIOUR JSON

With BEHAVIOUR `front` there are workers of the applications under "apps" behind it.

The workers tell what they do as lines on the descriptor EVENTS_FD, so a test waits for events and never for time.
JSON holds the sections of the configuration, under "timing" what replaces the fields of Timing, and under "reread" the
path of a file with such JSON, from which a reload takes the configuration.
"""

import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import msgspec

from drawbar.config import (
    AppConfig,
    Config,
    ControlConfig,
    HooksConfig,
    LifecycleConfig,
    ListenConfig,
    LogConfig,
    OperatorError,
    ProcessConfig,
    ServerConfig,
    TimeoutsConfig,
    parse_bind,
)
from drawbar.config.app_table import AppTable
from drawbar.config.sources import Loaded
from drawbar.net.scoreboard import Cell
from drawbar.supervisor.host.places import home
from drawbar.supervisor.master import Master
from drawbar.supervisor.reloading import timing_of
from drawbar.supervisor.trade import Trade
from drawbar.supervisor.upgrade import Inheritance
from drawbar.supervisor.worker.stacks import RAW_STACKS_SIGNAL, STACKS_SIGNAL

EVENTS = int(sys.argv[1])
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

Report = Callable[[str], None]


def tell(event: str) -> None:
    os.write(EVENTS, f"{event} {os.getpid()}\n".encode())


def tell_ready(report: Report, line: str, event: str) -> None:
    """Reports to the master; the event before, as on the report the master may stop another, which tells at once."""
    tell(event)
    report(line)


def serve(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Serves until told to stop."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    tell_ready(report, "ready wsgi", f"ready {slot}")
    return wait_for_stop()


def wait_for_stop() -> int:
    tell(f"stopping {signal.Signals(signal.sigwait(STOPPING)).name}")
    return 0


def answer(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Says one word to each connection of the first listener."""
    tell_ready(report, "ready", f"ready {slot}")
    listeners[0].setblocking(True)
    while True:
        connection, _ = listeners[0].accept()
        connection.sendall(b"hello")
        connection.close()


def accepts(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Tells of each connection."""
    report("ready")
    tell(f"ready {slot}")
    listeners[0].setblocking(True)
    while True:
        listeners[0].accept()[0].close()
        tell(f"accepted {slot}")


def by_target(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Does what the application is named after."""
    behaviours = {"good:app": serve, "hangs:app": hangs_at_the_start, "bad:app": raises_exception}
    return behaviours[config.app.target or ""](config, listeners, slot, report)


def random_number(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    tell(f"random {random.random()}")
    return serve(config, listeners, slot, report)


def descriptors(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Tells what kinds of descriptors it holds."""
    own = {0, 1, 2, EVENTS, *(listener.fileno() for listener in listeners)}
    kinds = []
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in own and os.path.exists(f"/proc/self/fd/{name}"):
            kinds.append(os.readlink(f"/proc/self/fd/{name}").partition(":")[0])
    tell(f"descriptors {','.join(sorted(kinds))}")
    return serve(config, listeners, slot, report)


def deaf(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Does not stop when told to."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    tell_ready(report, "ready", f"ready {slot}")
    signal.sigwait(STOPPING)
    tell("deaf")
    return forever()


def dies_before_ready(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    tell("dying")
    os.kill(os.getpid(), signal.SIGKILL)
    return forever()


def dies_once_ready(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    tell_ready(report, "ready", "dying")
    os._exit(3)


def raises_operator_error(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    tell("failing")
    raise OperatorError("cannot import 'nothing'", where="TARGET", right="write module:app")


def raises_exception(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    tell("failing")
    raise ZeroDivisionError("division\nby zero")


def calls_exit(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    sys.exit(7)


def breaks_at_work(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    tell_ready(report, "ready", "breaking")
    raise RuntimeError("broken at work")


def source(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Serves when the file the application would be compiles."""
    with open("app.py") as file:
        text = file.read()
    tell("compiling")
    compile(text, "app.py", "exec")
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    # Told before the master hears of it: it stops the former worker at once, and that one's event must come later.
    tell_ready(report, "ready wsgi", f"ready {slot}")
    return wait_for_stop()


def farewell(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    import atexit

    atexit.register(tell, "farewell")
    return serve(config, listeners, slot, report)


def forever() -> NoReturn:
    while True:
        time.sleep(3600)


def retires(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Serves, and finds at once that it has served enough, unless another of its slot has."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    tell_ready(report, "ready wsgi", f"ready {slot}")
    if not os.path.exists(f"retired-{slot}"):
        open(f"retired-{slot}", "x").close()
        report("recycle max-requests")
    return wait_for_stop()


def hangs_at_the_start(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    signal.signal(RAW_STACKS_SIGNAL, lambda number, frame: tell("asked"))
    tell("hanging")
    return forever()


def signalled(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Tells every signal it gets, also those that came with the last."""
    heard = (*STOPPING, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, STACKS_SIGNAL)
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    tell_ready(report, "ready wsgi", f"ready {slot}")
    while (number := signal.sigwait(heard)) not in STOPPING:
        tell(f"got {int(number)}")
    for came in sorted(signal.sigpending()):
        tell(f"got {int(came)}")
    tell(f"stopping {signal.Signals(number).name}")
    return 0


def front(config: Config, listeners: Sequence[socket.socket], slot: int, report: Report) -> int:
    """Serves, when its configuration does not say that it is bad; "deaf" does not stop when told to."""
    if config.server.server_header == "bad":
        tell("failing front")
        raise OperatorError("a bad front")
    return _serve_as("front", config.server.server_header, report)


def behind(
    config: Config, listeners: Sequence[socket.socket], slot: int, report: Report, cell: Cell | None = None
) -> int:
    """A worker of an application, which does what that is named after."""
    if config.app.target == "bad:app":
        tell(f"failing {config.work.app}")
        raise OperatorError("a bad application")
    return _serve_as(config.work.app, (config.app.target or "").removesuffix(":app"), report)


def _serve_as(name: str, nature: str, report: Report) -> int:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    tell_ready(report, "ready", f"ready {name}")
    signal.sigwait(STOPPING)
    tell(f"stopping {name}")
    return forever() if nature == "deaf" else 0


def make_config(options: dict[str, Any]) -> Config:
    server = dict(options.get("server", {}))
    server["bind"] = tuple(parse_bind(bind) for bind in server.get("bind", ["127.0.0.1:0"]))
    return Config(
        server=ServerConfig(**server),
        app=msgspec.convert(
            {"target": None if "apps" in options else "hello:app", **options.get("app", {})}, AppConfig
        ),
        timeouts=TimeoutsConfig(graceful=options.get("graceful", 30.0), **options.get("timeouts", {})),
        log=LogConfig(**options.get("log", {})),
        listen=ListenConfig(**options.get("listen", {})),
        lifecycle=LifecycleConfig(**options.get("lifecycle", {})),
        process=ProcessConfig(**options.get("process", {})),
        hooks=HooksConfig(**options.get("hooks", {})),
        control=ControlConfig(**{"socket": "off", **options.get("control", {})}),
        apps={name: AppTable(**table) for name, table in options.get("apps", {}).items()},
    )


def reread(options: dict[str, Any]) -> Loaded:
    """As the file says now; without one as at the start."""
    path = options.get("reread")
    if path:
        with open(path) as file:
            text = file.read()
        if "wrong" in text:
            raise OperatorError("no such key", where="drawbar.toml: server.wrong")
        options = {**options, **json.loads(text)}
    return Loaded(make_config(options), (), path, ())


def main() -> int:
    behaviour, options = globals()[sys.argv[2]], json.loads(sys.argv[3])
    config = make_config(options)
    # As a server does it at the start.
    home()
    timing = timing_of(config)._replace(**options["timing"]) if "timing" in options else None

    def work(
        config: Config, listeners: Sequence[socket.socket], slot: int, report: Report, cell: Cell | None = None
    ) -> int:
        return int(behaviour(config, listeners, slot, report))

    try:
        inherited = Inheritance.take(os.environ)
        has_front = sys.argv[2] == "front"
        master = Master(
            config,
            trade=Trade(work, "front", is_one=True) if has_front else Trade(work),
            behind=behind if has_front else None,
            reread=lambda: reread(options),
            timing=timing,
            inherited=inherited,
        )
        return master.run()
    except OperatorError as error:
        print(f"drawbar: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
