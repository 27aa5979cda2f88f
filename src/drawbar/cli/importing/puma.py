"""puma: config/puma.rb and its command line. Its applications are Ruby's; what is taken over is how a server is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from drawbar.cli.importing.draft import Draft, Missing, Needless, Rule, Said, To, Verdict
from drawbar.cli.importing.environment import rack_environment
from drawbar.cli.importing.flags import Flag, flags, switches, values
from drawbar.cli.importing.ruby_file import (
    ALWAYS,
    BUNDLER,
    RUBY,
    Arguments,
    RubyRules,
    first,
    options_of,
    reader,
    ruby_argument,
    translator,
)
from drawbar.cli.importing.server import Server
from drawbar.cli.importing.words import LIVENESS, LOGGING, TITLE, TLS, address, hook


def _puma_bind(draft: Draft, said: Said) -> None:
    parts = said.value if isinstance(said.value, list) else [said.value]
    # `port` is one more address.
    binds: list[str] = list(map(str, draft.values.get("server.bind", ())))
    for part in parts:
        url = urlsplit(str(first(part)))
        if url.scheme == "ssl":
            draft.remark(Verdict.MISSING, f"{said.name} {url.geturl()}", TLS.instead)
            continue
        place = f"unix:{url.netloc}{url.path}" if url.scheme == "unix" else url._replace(query="").geturl()
        binds.append(address(place, port=9292, host="0.0.0.0"))
        _puma_query(draft, said, parse_qs(url.query))
    if binds:
        draft.put("server.bind", said._replace(value=binds))


def _puma_query(draft: Draft, said: Said, query: Mapping[str, list[str]]) -> None:
    """What stands behind the question mark of an address."""
    rules: dict[str, Rule] = {
        "backlog": To("server.backlog"),
        "umask": To("server.unix_mode", lambda mask: f"{0o777 & ~int(str(mask), 8):04o}"),
        "low_latency": To("listen.nodelay"),
    }
    for name, given in query.items():
        draft.apply(rules, name, Said(said.server, f"{said.name} ?{name}", given[-1]))


def _puma_port(draft: Draft, said: Said) -> None:
    value = said.value
    host = str(value.values[1]) if isinstance(value, Arguments) and len(value.values) > 1 else "0.0.0.0"
    _puma_bind(draft, said._replace(value=f"tcp://{host}:{first(value)}"))


def _puma_threads(draft: Draft, said: Said) -> None:
    value = said.value
    text = ":".join(map(str, value.values)) if isinstance(value, Arguments) else str(value)
    low, colon, high = text.partition(":")
    if not colon:
        high = low
    least = "1" if low in ("0", "") else low
    most = "1" if high == "0" else high
    draft.put("app.threads", said._replace(value=f"{least}:{most}"))


def _puma_refork(draft: Draft, said: Said) -> None:
    if said.value is False:
        return
    draft.put("lifecycle.refork", said._replace(value=1000 if said.value in (True, "") else said.value))
    draft.put("lifecycle.preload", said._replace(value=True))


def _puma_keepalive(draft: Draft, said: Said) -> None:
    if said.value is False:
        draft.put("timeouts.keepalive", said._replace(value=0))


def _puma_force(draft: Draft, said: Said) -> None:
    if said.value == "forever":
        draft.remark(Verdict.MISSING, said, "timeouts.graceful is bounded; 24h is the longest")
    else:
        draft.put("timeouts.graceful", said, lambda value: 0 if value == "immediately" else value)


def _puma_control(draft: Draft, said: Said) -> None:
    place = address(first(said.value), port=9293)
    if place == "auto:9293" or place.startswith("true"):
        draft.remark(Verdict.NEEDLESS, said, "there is a control socket unasked; `drawbar ctl` finds it")
    elif place.startswith("unix:"):
        draft.put("control.socket", said._replace(value=place.removeprefix("unix:")))
    else:
        draft.remark(Verdict.MISSING, said, "orders come over a Unix socket only; control.metrics_bind has figures")


def _puma_stdout(draft: Draft, said: Said) -> None:
    value = said.value
    if isinstance(value, Arguments) and len(value.values) > 1 and value.values[1]:
        differs = "Drawbar's own messages go there; what the application prints goes to standard output and error"
        draft.put("log.error", said, lambda paths: str(paths.values[1]), differs)
    else:
        draft.remark(Verdict.MISSING, said, "redirect standard output where Drawbar is started; log.access is a path")


def _puma_address(draft: Draft, said: Said) -> None:
    options = options_of(said.value)
    if "proxy_protocol" in options:
        draft.remark(Verdict.MISSING, said, "set proxy.protocol, and name the proxies in proxy.trusted")
    else:
        draft.remark(Verdict.MISSING, said, "proxy.trusted and proxy.headers say whose word is taken")


def _plugin(draft: Draft, said: Said) -> None:
    known = {
        "tmp_restart": (Verdict.MISSING, "send HUP, or `drawbar ctl reload`"),
        "systemd": (Verdict.NEEDLESS, "sd_notify is built in"),
    }
    verdict, why = known.get(str(first(said.value)), (Verdict.MISSING, "there are no plugins"))
    draft.remark(verdict, said, why)


def _log_requests(wanted: bool) -> Callable[[Draft, Said], None]:
    def apply(draft: Draft, said: Said) -> None:
        on = wanted is (said.value is not False)
        draft.put("log.access", said._replace(value="-" if on else "off"))

    return apply


PUMA_RULES: Final[dict[str, Rule]] = {
    "bind": _puma_bind,
    "port": _puma_port,
    "threads": _puma_threads,
    "workers": To("server.workers", lambda value: value if value else 1),
    "preload_app!": To(
        "lifecycle.preload", differs="a fork server imports it, not the master, so a reload takes new code"
    ),
    "fork_worker": _puma_refork,
    "first_data_timeout": To("timeouts.head", differs="it bounds the whole head of a request"),
    "persistent_timeout": To("timeouts.keepalive"),
    "max_keep_alive": To("limits.keepalive_requests"),
    "enable_keep_alives": _puma_keepalive,
    "max_fast_inline": Needless("requests behind one another take turns with those of other connections"),
    "worker_timeout": To("timeouts.liveness", differs=LIVENESS),
    "worker_boot_timeout": To("timeouts.boot"),
    "worker_shutdown_timeout": To("timeouts.graceful"),
    "force_shutdown_after": _puma_force,
    "worker_check_interval": Needless("workers are watched over shared memory"),
    "idle_timeout": Missing("let the service manager stop it, or start it by its socket"),
    "drain_on_shutdown": ALWAYS,
    "queue_requests": Needless("a request reaches the application when it is whole"),
    "wait_for_less_busy_worker": Needless("a busy worker leaves new connections to the others"),
    "worker_culling_strategy": Missing("TTOU stops the worker with the highest number"),
    "auto_trim_time": Needless("threads that are idle are trimmed"),
    "reaping_time": Needless("threads do not die"),
    "max_io_threads": Missing("raise app.threads: routes known to be slow do not keep quick ones waiting"),
    "fiber_per_request": Missing("app.concurrency = greenlets"),
    "directory": To("app.chdir"),
    "rackup": RUBY,
    "app": RUBY,
    "environment": rack_environment,
    "pidfile": To("process.pid_file"),
    "state_path": Needless("the control socket tells it: `drawbar ctl status --json`"),
    "state_permission": Needless("the control socket is its owner's alone (0600)"),
    "activate_control_app": _puma_control,
    "stdout_redirect": _puma_stdout,
    "quiet": _log_requests(False),
    "log_requests": _log_requests(True),
    "log_formatter": LOGGING,
    "custom_logger": LOGGING,
    "debug": To("log.level", lambda _: "debug"),
    "http_content_length_limit": To("limits.body_bytes", differs="chunked bodies are bounded too"),
    "supported_http_methods": Missing("every method reaches the application, which answers 405"),
    "set_remote_address": _puma_address,
    "rack_url_scheme": Missing("the scheme comes from a proxy in proxy.trusted"),
    "force_ssl": TLS,
    "ssl_bind": TLS,
    "tag": TITLE,
    "early_hints": Needless("wsgi.early_hints is always there"),
    "lowlevel_error_handler": Missing("the client gets a plain 500, the log the traceback"),
    "raise_exception_on_sigterm": ALWAYS,
    "shutdown_debug": Needless("the stacks of a worker that does not stop go to the log"),
    "nakayoshi_fork": Needless("memory is compacted and frozen before each fork"),
    "prune_bundler": BUNDLER,
    "extra_runtime_dependencies": BUNDLER,
    "restart_command": Missing("USR2 starts the installed Drawbar anew with the same arguments"),
    "bind_to_activated_sockets": Needless("sockets of the service manager are taken when server.bind is not set"),
    "clear_binds!": Missing("leave server.bind out"),
    "clean_thread_locals": Missing("contextvars are fresh in each request; thread locals are the application's"),
    "io_selector_backend": ALWAYS,
    "mutate_stdout_and_stderr_to_sync_on_write": Missing("set PYTHONUNBUFFERED"),
    "silence_single_worker_warning": ALWAYS,
    "silence_fork_callback_warning": ALWAYS,
    "plugin": _plugin,
    "load": Missing("import that file too"),
    "import": Missing("import that file too"),
    "before_fork": Missing("hooks.before_fork runs once, in the fork server, and needs lifecycle.preload"),
    "before_worker_boot": hook("after_fork"),
    "on_worker_boot": hook("after_fork"),
    "after_worker_boot": hook("worker_ready"),
    "before_worker_shutdown": hook("worker_exit"),
    "on_worker_shutdown": hook("worker_exit"),
    "before_worker_fork": Missing("nothing of the application's runs in the master"),
    "on_worker_fork": Missing("nothing of the application's runs in the master"),
    "after_worker_fork": Missing("nothing of the application's runs in the master"),
    "before_refork": hook("before_fork"),
    "on_refork": hook("before_fork"),
    "after_refork": Missing("hooks.after_fork runs in each new worker"),
    "before_restart": hook("before_exec"),
    "on_restart": hook("before_exec"),
    "after_booted": Missing("the service manager is told (sd_notify); hooks.worker_ready runs in each worker"),
    "on_booted": Missing("the service manager is told (sd_notify); hooks.worker_ready runs in each worker"),
    "after_stopped": Missing("hooks.worker_exit runs in each worker"),
    "on_stopped": Missing("hooks.worker_exit runs in each worker"),
    "before_thread_start": Missing("use threading.local or contextvars in the application"),
    "on_thread_start": Missing("use threading.local or contextvars in the application"),
    "before_thread_exit": Missing("use threading.local or contextvars in the application"),
    "on_thread_exit": Missing("use threading.local or contextvars in the application"),
    "out_of_band": hook("out_of_band"),
    "config": Needless("it was read"),
    "control_token": Needless("who may write to the control socket's file may give orders"),
    "set_default_host": Missing("write the host in server.bind"),
}

PUMA_FLAGS: Final[dict[str, Flag]] = {
    **flags("-b", "--bind", many=True),
    **flags("-p", "--port"),
    **flags("-w", "--workers"),
    **flags("-t", "--threads"),
    **flags("-C", "--config"),
    **flags("-e", "--environment"),
    **flags("-S", "--state", name="state_path"),
    **flags("-q", "--quiet", const=True),
    **flags("-v", "--log-requests", const=True),
    **flags("--preload", name="preload_app!", const=True),
    **flags("--fork-worker", const=True),
    **flags("--dir", name="directory"),
    **flags("--control-url", "--control", name="activate_control_app"),
    **flags("--control-token"),
    **flags("--redirect-stdout", name="stdout_redirect"),
    **flags("--redirect-stderr", name="stdout_redirect"),
    **flags("--redirect-append", name="stdout_redirect", const=True),
    **flags("--silent", name="quiet", const=True),
    **flags("--debug", const=True),
    **values("--pidfile", "--tag", "--restart-cmd", "--persistent-timeout", "--idle-timeout"),
    **flags("--restart-cmd", name="restart_command"),
    **switches("--prune-bundler", "--early-hints"),
}


def _finish_puma(draft: Draft, said: Mapping[str, Any]) -> None:
    draft.imply("server.bind", "0.0.0.0:9292", "as puma does unasked")


PUMA: Final = Server(
    "puma",
    RubyRules(translator(PUMA_RULES)),
    PUMA_FLAGS,
    reader("puma", frozenset({"bind"})),
    _finish_puma,
    ruby_argument,
)
