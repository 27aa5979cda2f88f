"""gunicorn: gunicorn.conf.py, its command line, GUNICORN_CMD_ARGS.

The rules have every setting of gunicorn 27's reference (docs.gunicorn.org, "Settings"), and a test holds them to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drawbar.cli.importing import python_file
from drawbar.cli.importing.draft import Draft, Missing, Needless, Off, Rule, Said, To, Verdict
from drawbar.cli.importing.environment import variables
from drawbar.cli.importing.flags import Flag, flags, switches, values
from drawbar.cli.importing.server import Server
from drawbar.cli.importing.words import (
    BELIEVED,
    DRAINS,
    HTTP2,
    LIVENESS,
    LOGGING,
    PYTHONPATH,
    STATSD,
    SYSLOG,
    TIMEOUT,
    TITLE,
    TLS,
    UWSGI,
    addresses,
    application,
    hook,
    level,
    log_file,
    octal,
    words,
)

DEFAULT_FORMAT: Final = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
STRICT: Final = Missing("a request that breaks RFC 9112 is refused, whoever sends it")
DIRTY: Final = Missing("long work belongs in a task queue; app.max_concurrency bounds what runs at once")


def _binds(value: Any) -> list[str]:
    return addresses(value, port=8000)


def _line_bytes(value: Any) -> Any:
    if int(value) == 0:
        raise ValueError("without a limit nothing is accepted; the greatest is 1m")
    return value


def _name(value: Any) -> str:
    """A user or group by name or number."""
    return str(value)


def _loop_class(name: str) -> str:
    """The kind of worker behind any of its names."""
    text = name.lower().removeprefix("egg:gunicorn#")
    for kind in ("uvicornh11", "uvicorn", "asgi", "gevent", "eventlet", "gthread", "tornado", "sync"):
        if kind in text:
            return kind
    return text


def _class_is_read_at_the_end(draft: Draft, said: Said) -> None:
    """It decides what threads, timeout and worker_connections mean: see _finish."""


def _access_format(draft: Draft, said: Said) -> None:
    if str(said.value) != DEFAULT_FORMAT:
        draft.remark(Verdict.MISSING, said, "log.access_format is combined, json or a format like Apache's")


def _proxy_protocol(value: Any) -> bool:
    return value not in (False, None, "off", "")


def _http_only(draft: Draft, said: Said) -> None:
    if str(said.value) != "http":
        draft.apply({"protocol": UWSGI}, "protocol", said)


RULES: Final[dict[str, Rule]] = {
    "config": Needless("it was read"),
    "wsgi_app": application,
    "bind": To("server.bind", _binds),
    "backlog": To("server.backlog"),
    "workers": To("server.workers"),
    "worker_class": _class_is_read_at_the_end,
    "threads": _class_is_read_at_the_end,
    "worker_connections": _class_is_read_at_the_end,
    "timeout": _class_is_read_at_the_end,
    "max_requests": To("lifecycle.max_requests", differs=DRAINS),
    "max_requests_jitter": To("lifecycle.max_requests_jitter"),
    "graceful_timeout": To("timeouts.graceful"),
    "keepalive": To("timeouts.keepalive"),
    "limit_request_line": To(
        "limits.target_bytes", _line_bytes, "it bounds the target alone, without method and version"
    ),
    "limit_request_fields": To("limits.fields"),
    "limit_request_field_size": Missing("limits.head_bytes bounds all fields together"),
    "reload": To("server.reload"),
    "reload_engine": Needless("inotify where watchfiles is installed, modification times otherwise"),
    "reload_extra_files": Off(Missing("server.reload_dirs takes the directories they are in")),
    "spew": Off(Missing("`drawbar ctl stacks` shows where every thread is")),
    "check_config": Off(Missing("that is `drawbar check`")),
    "print_config": Off(Missing("that is `drawbar check`, or `drawbar ctl config` of a running server")),
    "preload_app": To(
        "lifecycle.preload", differs="a fork server imports it, not the master, so a reload takes new code"
    ),
    "sendfile": Needless("wsgi.file_wrapper is sent by the kernel wherever it can"),
    "reuse_port": To("listen.reuseport"),
    "chdir": To("app.chdir"),
    "daemon": To("process.daemonize"),
    "raw_env": variables,
    "pidfile": To("process.pid_file"),
    "worker_tmp_dir": Needless("workers tell that they live over shared memory, no file is touched"),
    "user": To("process.user", _name),
    "group": To("process.group", _name),
    "umask": To("process.umask", octal),
    "initgroups": Needless("the user's groups are always set"),
    "tmp_upload_dir": To("server.temp_dir"),
    "secure_scheme_headers": Missing("proxy.headers names the headers that are believed"),
    "forwarded_allow_ips": To("proxy.trusted", words, BELIEVED),
    "accesslog": To("log.access", log_file),
    "disable_redirect_access_to_syslog": Needless("nothing is sent to syslog"),
    "access_log_format": _access_format,
    "errorlog": To("log.error", log_file),
    "loglevel": To("log.level", level),
    "capture_output": Off(Missing("what the application prints goes where standard output and error go")),
    "logger_class": LOGGING,
    "logconfig": LOGGING,
    "logconfig_dict": Off(LOGGING),
    "logconfig_json": LOGGING,
    "syslog": Off(SYSLOG),
    "syslog_addr": SYSLOG,
    "syslog_prefix": SYSLOG,
    "syslog_facility": SYSLOG,
    "enable_stdio_inheritance": Needless("standard output and error are inherited"),
    "statsd_host": STATSD,
    "statsd_prefix": STATSD,
    "dogstatsd_tags": STATSD,
    "enable_backlog_metric": Needless("/metrics has the listen queue"),
    "proc_name": TITLE,
    "default_proc_name": TITLE,
    "pythonpath": PYTHONPATH,
    "paste": Missing("name a module of your own that calls paste.deploy.loadapp"),
    "raw_paste_global_conf": Missing("name a module of your own that calls paste.deploy.loadapp"),
    "on_starting": Missing("nothing of the application's runs in the master; hooks.after_fork runs in each worker"),
    "on_reload": Missing("nothing of the application's runs in the master; hooks.after_fork runs in each worker"),
    "when_ready": Missing("the service manager is told (sd_notify); hooks.worker_ready runs in each worker"),
    "pre_fork": Missing(
        'move it into a module and name it: hooks.before_fork = "module:function"; '
        "it runs once, in the fork server, and needs lifecycle.preload"
    ),
    "post_fork": hook("after_fork"),
    "post_worker_init": hook("worker_ready"),
    "worker_int": Missing("hooks.worker_exit runs after a worker's last request"),
    "worker_abort": Missing("the stack of a call that timed out goes to the log by itself"),
    "worker_exit": hook("worker_exit"),
    "child_exit": Missing("the log names each death and its cause; hooks.worker_exit runs in the worker"),
    "pre_exec": hook("before_exec"),
    "pre_request": Missing("use a middleware of the application"),
    "post_request": hook("request_finished"),
    "nworkers_changed": Missing("the log tells it"),
    "on_exit": Missing("hooks.worker_exit runs in each worker"),
    "ssl_context": TLS,
    "proxy_protocol": To("proxy.protocol", _proxy_protocol),
    "proxy_allow_ips": To("proxy.trusted", words, BELIEVED),
    "protocol": _http_only,
    "uwsgi_allow_ips": UWSGI,
    "keyfile": TLS,
    "certfile": TLS,
    "ssl_version": TLS,
    "cert_reqs": TLS,
    "ca_certs": TLS,
    "suppress_ragged_eofs": TLS,
    "do_handshake_on_connect": TLS,
    "ciphers": TLS,
    "http_protocols": HTTP2,
    "http2_cleartext": HTTP2,
    "http2_max_concurrent_streams": HTTP2,
    "http2_initial_window_size": HTTP2,
    "http2_max_frame_size": HTTP2,
    "http2_max_header_list_size": HTTP2,
    "permit_obsolete_folding": Off(STRICT),
    "strip_header_spaces": Off(STRICT),
    "permit_unconventional_http_method": Off(Needless("every method of RFC 9110's grammar reaches the application")),
    "permit_unconventional_http_version": Off(STRICT),
    "casefold_http_method": Off(Missing("methods are case-sensitive (RFC 9110); the application gets them as sent")),
    "forwarder_headers": Missing("proxy.headers names the headers that are believed"),
    "header_map": Needless("fields with an underscore in their name never reach the application"),
    "asgi_loop": To("app.loop"),
    "asgi_lifespan": To("app.lifespan"),
    "asgi_disconnect_grace_period": Missing("the application hears http.disconnect and ends when it will"),
    "websocket_max_message_size": To("websocket.max_message_bytes"),
    "http_parser": Needless("there is one parser, and it is native"),
    "root_path": To("app.root_path"),
    "dirty_apps": Off(DIRTY),
    "dirty_workers": Off(DIRTY),
    "dirty_timeout": DIRTY,
    "dirty_threads": DIRTY,
    "dirty_graceful_timeout": DIRTY,
    "on_dirty_starting": DIRTY,
    "dirty_post_fork": DIRTY,
    "dirty_worker_init": DIRTY,
    "dirty_worker_exit": DIRTY,
    "control_socket": To("control.socket", differs="`drawbar ctl` talks HTTP and JSON over it"),
    "control_socket_mode": Needless("the socket is its owner's alone (0600)"),
    "control_socket_disable": Off(To("control.socket", lambda _: "off")),
}

FLAGS: Final[dict[str, Flag]] = {
    **flags("-c", "--config"),
    **flags("-b", "--bind", many=True),
    **flags("-w", "--workers"),
    **flags("-k", "--worker-class"),
    **flags("-t", "--timeout"),
    **flags("--keep-alive", name="keepalive"),
    **flags("--limit-request-field_size", name="limit_request_field_size"),
    **flags("--reload-extra-file", name="reload_extra_files", many=True),
    **flags("--preload", name="preload_app", const=True),
    **flags("--no-sendfile", name="sendfile", const=False),
    **flags("-D", "--daemon", const=True),
    **flags("-e", "--env", name="raw_env", many=True),
    **flags("-p", "--pid", name="pidfile"),
    **flags("-u", "--user"),
    **flags("-g", "--group"),
    **flags("-m", "--umask"),
    **flags("--access-logfile", name="accesslog"),
    **flags("--access-logformat", name="access_log_format"),
    **flags("--error-logfile", "--log-file", name="errorlog"),
    **flags("--log-level", name="loglevel"),
    **flags("--log-config", name="logconfig"),
    **flags("--log-config-json", name="logconfig_json"),
    **flags("--log-syslog-to", name="syslog_addr"),
    **flags("--log-syslog", name="syslog", const=True),
    **flags("--log-syslog-prefix", name="syslog_prefix"),
    **flags("--log-syslog-facility", name="syslog_facility"),
    **flags("-R", "--enable-stdio-inheritance", const=True),
    **flags("-n", "--name", name="proc_name"),
    **flags("--paste", "--paster", name="paste"),
    **flags("--paste-global", name="raw_paste_global_conf", many=True),
    **flags("--proxy-protocol", const="auto"),
    **flags("--proxy-allow-from", name="proxy_allow_ips"),
    **flags("--uwsgi-allow-from", name="uwsgi_allow_ips"),
    **flags("--dirty-app", name="dirty_apps", many=True),
    **flags("--no-control-socket", name="control_socket_disable", const=True),
    **values(
        "--backlog",
        "--threads",
        "--worker-connections",
        "--max-requests",
        "--max-requests-jitter",
        "--graceful-timeout",
        "--limit-request-line",
        "--limit-request-fields",
        "--reload-engine",
        "--chdir",
        "--worker-tmp-dir",
        "--forwarded-allow-ips",
        "--logger-class",
        "--statsd-host",
        "--dogstatsd-tags",
        "--statsd-prefix",
        "--pythonpath",
        "--protocol",
        "--keyfile",
        "--certfile",
        "--ssl-version",
        "--cert-reqs",
        "--ca-certs",
        "--ciphers",
        "--http-protocols",
        "--http2-cleartext",
        "--http2-max-concurrent-streams",
        "--http2-initial-window-size",
        "--http2-max-frame-size",
        "--http2-max-header-list-size",
        "--forwarder-headers",
        "--header-map",
        "--asgi-loop",
        "--asgi-lifespan",
        "--asgi-disconnect-grace-period",
        "--websocket-max-message-size",
        "--http-parser",
        "--root-path",
        "--dirty-workers",
        "--dirty-timeout",
        "--dirty-threads",
        "--dirty-graceful-timeout",
        "--control-socket",
        "--control-socket-mode",
    ),
    **switches(
        "--reload",
        "--spew",
        "--check-config",
        "--print-config",
        "--reuse-port",
        "--initgroups",
        "--disable-redirect-access-to-syslog",
        "--capture-output",
        "--enable-backlog-metric",
        "--suppress-ragged-eofs",
        "--do-handshake-on-connect",
        "--permit-obsolete-folding",
        "--strip-header-spaces",
        "--permit-unconventional-http-method",
        "--permit-unconventional-http-version",
        "--casefold-http-method",
    ),
}


def read(path: str) -> list[Said]:
    """Runs gunicorn.conf.py; raises OperatorError. None is what a setting is before anybody sets it."""
    found = python_file.run(path)
    return [Said("gunicorn", name, value) for name, value in found.items() if value is not None]


def _finish(draft: Draft, said: Mapping[str, Any]) -> None:
    """The class of worker decides what threads, timeout and worker_connections mean."""
    threads = int(said["threads"]) if str(said.get("threads", "")).isdigit() else 1
    if draft.values.get("proxy.protocol"):
        draft.imply("proxy.trusted", "127.0.0.1,::1", "as gunicorn believes unasked")
    kind = _loop_class(str(said.get("worker_class", "sync")))
    if kind == "sync" and threads > 1:
        kind = "gthread"
    _worker_class(draft, kind, said, threads)
    if "worker_connections" in said and kind != "sync":
        draft.put("limits.connections", Said("gunicorn", "worker_connections", said["worker_connections"]))
    elif "worker_connections" in said:
        what = Said("gunicorn", "worker_connections", said["worker_connections"])
        draft.remark(Verdict.NEEDLESS, what, "the sync worker does not read it either")
    if "timeout" in said:
        key, differs = ("timeouts.request", TIMEOUT) if kind == "sync" else ("timeouts.liveness", LIVENESS)
        draft.put(key, Said("gunicorn", "timeout", said["timeout"]), differs=differs)


def _worker_class(draft: Draft, kind: str, said: Mapping[str, Any], threads: int) -> None:
    what = Said("gunicorn", "worker_class", said.get("worker_class", kind))
    if kind == "sync":
        draft.imply("app.threads", 1, "as gunicorn's sync worker: raise it when the application is thread-safe")
    elif kind == "gthread":
        draft.put("app.threads", Said("gunicorn", "threads", f"1:{threads}" if threads > 1 else 1))
    elif kind in ("gevent", "eventlet"):
        differs = "gevent takes its place" if kind == "eventlet" else ""
        draft.put("app.concurrency", what._replace(value="greenlets"), differs=differs)
    elif kind in ("uvicorn", "uvicornh11", "asgi"):
        draft.put("app.interface", what._replace(value="asgi"))
        if kind == "uvicornh11":
            draft.put("app.loop", what._replace(value="asyncio"))
    else:
        draft.remark(Verdict.MISSING, what, "app.concurrency is inline, threads, tasks, greenlets or fork")


GUNICORN: Final = Server("gunicorn", RULES, FLAGS, read, _finish)
