"""unicorn and Rainbows!: their configuration file, and their command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drawbar.cli.importing.draft import Draft, Missing, Needless, Rule, Said, To
from drawbar.cli.importing.environment import rack_environment
from drawbar.cli.importing.flags import Flag, flags
from drawbar.cli.importing.ruby_file import Arguments, RubyRules, first, options_of, reader, ruby_argument, translator
from drawbar.cli.importing.server import Server
from drawbar.cli.importing.words import LOGGING, TIMEOUT, address, hook, log_file


def _unicorn_listen(draft: Draft, said: Said) -> None:
    parts = said.value if isinstance(said.value, list) else [said.value]
    binds = [address(str(first(part)).replace("*:", "0.0.0.0:"), port=8080, host="0.0.0.0") for part in parts]
    draft.put("server.bind", said._replace(value=binds))
    for part in parts:
        for name, value in options_of(part).items():
            draft.apply(LISTEN_RULES, name, Said(said.server, f"listen {name}:", value))


def _unicorn_user(draft: Draft, said: Said) -> None:
    draft.put("process.user", said, lambda value: str(first(value)))
    if isinstance(said.value, Arguments) and len(said.value.values) > 1:
        draft.put("process.group", said, lambda value: str(value.values[1]))


def _seconds_or_off(value: Any) -> Any:
    return {True: 1, False: 0}.get(value, value)


LISTEN_RULES: Final[dict[str, Rule]] = {
    "backlog": To("server.backlog"),
    "rcvbuf": To("listen.receive_buffer"),
    "sndbuf": To("listen.send_buffer"),
    "tcp_nodelay": To("listen.nodelay"),
    "tcp_nopush": Needless("a response leaves in as few packets as it fits in"),
    "ipv6only": To("listen.ipv6_only"),
    "reuseport": To("listen.reuseport"),
    "tries": To("listen.bind_tries", lambda tries: 0 if int(tries) < 0 else tries),
    "delay": To("listen.bind_delay"),
    "umask": To("server.unix_mode", lambda mask: f"{0o777 & ~int(mask):04o}"),
    "tcp_defer_accept": To("listen.defer_accept", _seconds_or_off),
    "accept_filter": Needless("Linux has listen.defer_accept"),
}

UNICORN_RULES: Final[dict[str, Rule]] = {
    "listen": _unicorn_listen,
    "worker_processes": To("server.workers"),
    "timeout": To("timeouts.request", differs=TIMEOUT),
    "pid": To("process.pid_file"),
    "preload_app": To(
        "lifecycle.preload", differs="a fork server imports it, not the master, so a reload takes new code"
    ),
    "worker_exec": Needless("workers of a fork server share its memory; without preload each imports for itself"),
    "rewindable_input": To("app.stream_input", lambda value: value is False),
    "client_body_buffer_size": To("limits.body_memory_bytes"),
    "check_client_connection": Needless("a call whose client has left before it begins is dropped"),
    "early_hints": Needless("wsgi.early_hints is always there"),
    "default_middleware": Needless("no middleware is added"),
    "stderr_path": To("log.error", log_file),
    "stdout_path": Missing("redirect standard output where Drawbar is started; log.access is a path"),
    "working_directory": To("app.chdir"),
    "user": _unicorn_user,
    "group": To("process.group"),
    "logger": LOGGING,
    "before_fork": Missing("hooks.before_fork runs once, in the fork server, and needs lifecycle.preload"),
    "after_fork": hook("after_fork"),
    "after_worker_ready": hook("worker_ready"),
    "after_worker_exit": Missing("the log names each death and its cause; hooks.worker_exit runs in the worker"),
    "before_exec": hook("before_exec"),
    # Rainbows! do ... end
    "use": Missing("app.concurrency and app.threads say how the application is called"),
    "worker_connections": To("limits.connections"),
    "keepalive_timeout": To("timeouts.keepalive"),
    "keepalive_requests": To("limits.keepalive_requests"),
    "client_max_body_size": To("limits.body_bytes", lambda value: 0 if value is None else value),
    "client_max_header_size": To("limits.head_bytes"),
    "client_header_buffer_size": Needless("heads are read where they arrive"),
    "copy_stream": Needless("files are sent by the kernel"),
    # Options of the command.
    "config": Needless("it was read"),
    "environment": rack_environment,
    "daemonize": To("process.daemonize"),
    "server": Needless("there is one"),
    "no_default_middleware": Needless("no middleware is added"),
    "host": lambda draft, said: None,
    "port": lambda draft, said: None,
}

UNICORN_FLAGS: Final[dict[str, Flag]] = {
    **flags("-l", "--listen", many=True),
    **flags("-c", "--config-file", name="config"),
    **flags("-D", "--daemonize", const=True),
    **flags("-E", "--env", name="environment"),
    **flags("-N", "--no-default-middleware", const=True),
    **flags("-o", "--host"),
    **flags("-p", "--port"),
    **flags("-s", "--server"),
    **flags("-P", "--pid"),
}


def _finish_unicorn(draft: Draft, said: Mapping[str, Any]) -> None:
    if "host" in said or "port" in said:
        text = f"{said.get('host', '0.0.0.0')}:{said.get('port', 8080)}"
        draft.put("server.bind", Said("unicorn", "--host and --port", text), lambda one: [one])
    draft.imply("server.bind", "0.0.0.0:8080", "as unicorn does unasked")
    if "use" not in said:
        draft.imply("app.threads", 1, "as unicorn does: raise it when the application is thread-safe")


UNICORN: Final = Server(
    "unicorn",
    RubyRules(translator(UNICORN_RULES)),
    UNICORN_FLAGS,
    reader("unicorn", frozenset({"listen"})),
    _finish_unicorn,
    ruby_argument,
)
