"""uvicorn, hypercorn and granian: their command lines, and hypercorn's configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from drawbar.cli.importing import python_file
from drawbar.cli.importing.draft import Draft, Missing, Needless, Off, Rule, Said, To, Verdict
from drawbar.cli.importing.environment import FILE
from drawbar.cli.importing.flags import Flag, flags, pairs, switches, values
from drawbar.cli.importing.server import Server
from drawbar.cli.importing.words import (
    BELIEVED,
    DRAINS,
    HTTP2,
    LIVENESS,
    LOGGING,
    QUEUES,
    STATIC,
    STATSD,
    TITLE,
    TLS,
    address,
    addresses,
    level,
    log_file,
    octal,
    up_to,
    words,
)
from drawbar.config.sources import read_toml

WATCHED: Final = Missing("source files are watched as they are; server.reload_dirs says where")
ONE_CODEC: Final = Needless("there is one HTTP implementation, and it is native")
ONE_WEBSOCKET: Final = Needless("there is one WebSocket implementation")
RUNTIME: Final = Needless("the reactor needs no threads of its own")
ACCESS_LOG_SWITCH: Final = To("log.access", lambda on: "-" if on else "off")


def _read_at_the_end(draft: Draft, said: Said) -> None:
    """Host, port and the like make one address: see the server's finish."""


def _bind(draft: Draft, said: Mapping[str, Any], server: str, port: int = 8000) -> None:
    """One address out of `host`, `port`, `uds` and `fd`."""
    if said.get("uds"):
        draft.put("server.bind", Said(server, "--uds", said["uds"]), lambda path: [f"unix:{path}"])
    elif said.get("fd"):
        draft.put("server.bind", Said(server, "--fd", said["fd"]), lambda number: [f"fd://{number}"])
    elif "host" in said or "port" in said:
        host, number = said.get("host", "127.0.0.1"), said.get("port", port)
        text = f"[{host}]:{number}" if ":" in str(host) else f"{host}:{number}"
        draft.put("server.bind", Said(server, "--host and --port", text), lambda one: [one])


def _interface(value: Any) -> str:
    text = str(value).lower()
    if text in ("asgi2", "rsgi"):
        raise ValueError(f"{text.upper()} applications are not served; the application needs ASGI 3 or WSGI")
    return {"asgi3": "asgi", "asginl": "asgi"}.get(text, text)


def _loop(value: Any) -> str:
    text = str(value).lower()
    if text not in ("auto", "asyncio", "uvloop"):
        raise ValueError("app.loop is auto, asyncio or uvloop")
    return text


# -- uvicorn


def _header_switch(draft: Draft, said: Said) -> None:
    if said.value is False:
        draft.put("server.server_header", said, lambda _: "")


def _finish_uvicorn(draft: Draft, said: Mapping[str, Any]) -> None:
    _bind(draft, said, "uvicorn")
    draft.imply("log.access", "-", "as uvicorn does unasked")
    if said.get("proxy_headers") is False:
        draft.values.pop("proxy.trusted", None)
    else:
        draft.imply("proxy.trusted", "127.0.0.1", "as uvicorn does unasked")


UVICORN_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(("host", "port", "uds", "fd"), _read_at_the_end),
    "reload": To("server.reload"),
    "reload_dir": To("server.reload_dirs", words),
    "reload_include": WATCHED,
    "reload_exclude": WATCHED,
    "reload_delay": WATCHED,
    "workers": To("server.workers"),
    "loop": To("app.loop", _loop),
    "http": ONE_CODEC,
    "http2": Off(HTTP2),
    "ws": ONE_WEBSOCKET,
    "ws_max_size": To("websocket.max_message_bytes"),
    "ws_max_queue": Needless("a client that sends faster than the application reads is held back by TCP"),
    "ws_ping_interval": To("websocket.ping_interval"),
    "ws_ping_timeout": To("websocket.ping_timeout"),
    "ws_per_message_deflate": To("websocket.compression"),
    "lifespan": To("app.lifespan"),
    "interface": To("app.interface", _interface),
    "env_file": FILE,
    "log_config": LOGGING,
    "log_level": To("log.level", level),
    "access_log": ACCESS_LOG_SWITCH,
    "use_colors": Needless("the log is plain text"),
    "proxy_headers": Needless("forwarding headers are believed from proxy.trusted, and from nobody else"),
    "server_header": _header_switch,
    "date_header": Off(Needless("responses have a Date, as RFC 9110 wants")),
    "forwarded_allow_ips": To("proxy.trusted", words, BELIEVED),
    "root_path": To("app.root_path"),
    "limit_concurrency": To("app.max_concurrency", differs=QUEUES),
    "backlog": To("server.backlog"),
    "limit_max_requests": To("lifecycle.max_requests", differs=DRAINS),
    "limit_max_requests_jitter": To("lifecycle.max_requests_jitter"),
    "timeout_keep_alive": To("timeouts.keepalive"),
    "timeout_graceful_shutdown": To("timeouts.graceful"),
    "timeout_worker_healthcheck": To("timeouts.liveness", differs=LIVENESS),
    **dict.fromkeys(
        (
            *("ssl_keyfile", "ssl_certfile", "ssl_keyfile_password", "ssl_version"),
            *("ssl_cert_reqs", "ssl_ca_certs", "ssl_ciphers"),
        ),
        TLS,
    ),
    "header": Missing("let the application, a middleware or the proxy in front add it"),
    "app_dir": To("app.chdir", differs="the application is imported from there and runs there"),
    "h11_max_incomplete_event_size": To("limits.head_bytes", differs="it bounds the head alone"),
    "reset_contextvars": Needless("each request has a context of its own"),
    "factory": To("app.factory"),
}

UVICORN_FLAGS: Final[dict[str, Flag]] = {
    **values(
        *("--host", "--port", "--uds", "--fd", "--reload-delay", "--workers", "--loop", "--http", "--ws"),
        *("--ws-max-size", "--ws-max-queue", "--ws-ping-interval", "--ws-ping-timeout", "--ws-per-message-deflate"),
        *("--lifespan", "--interface", "--env-file", "--log-config", "--log-level", "--forwarded-allow-ips"),
        *("--root-path", "--limit-concurrency", "--backlog", "--limit-max-requests", "--limit-max-requests-jitter"),
        *("--timeout-keep-alive", "--timeout-graceful-shutdown", "--timeout-worker-healthcheck", "--ssl-keyfile"),
        *("--ssl-certfile", "--ssl-keyfile-password", "--ssl-version", "--ssl-cert-reqs", "--ssl-ca-certs"),
        *("--ssl-ciphers", "--app-dir", "--h11-max-incomplete-event-size"),
    ),
    **flags("--reload-dir", many=True),
    **flags("--reload-include", many=True),
    **flags("--reload-exclude", many=True),
    **flags("--header", many=True),
    **switches("--reload", "--http2", "--factory", "--reset-contextvars"),
    **pairs("--access-log", "--use-colors", "--proxy-headers", "--server-header", "--date-header"),
}

UVICORN: Final = Server("uvicorn", UVICORN_RULES, UVICORN_FLAGS, finish=_finish_uvicorn)

# -- hypercorn


def _hypercorn_class(draft: Draft, said: Said) -> None:
    if said.value == "trio":
        draft.remark(Verdict.MISSING, said, "applications run on asyncio or uvloop")
    else:
        draft.put("app.loop", said, _loop)


def _hypercorn_bind(value: Any) -> list[str]:
    return addresses(value, port=8000)


def _hypercorn_owner(draft: Draft, said: Said) -> None:
    """Hypercorn's user and group own the Unix socket, nothing else."""
    draft.put(
        "server.unix_owner", said, lambda name: str(name) if said.name in ("-u", "--user", "user") else f":{name}"
    )


def read_hypercorn(path: str) -> list[Said]:
    """hypercorn's file, in TOML or Python; raises OperatorError."""
    found = read_toml(path) if path.endswith(".toml") else python_file.run(path)
    return [Said("hypercorn", name, value) for name, value in found.items()]


HYPERCORN_RULES: Final[dict[str, Rule]] = {
    "application_path": lambda draft, said: draft.put("app.target", said),
    "bind": To("server.bind", _hypercorn_bind),
    "insecure_bind": To("server.bind", _hypercorn_bind),
    "quic_bind": HTTP2,
    "access_log": To("log.access", log_file),
    "accesslog": To("log.access", log_file),
    "access_log_format": Missing("log.access_format is combined, json or a format like Apache's"),
    "error_log": To("log.error", log_file),
    "errorlog": To("log.error", log_file),
    "backlog": To("server.backlog"),
    "config": Needless("it was read"),
    "daemon": To("process.daemonize"),
    "debug": Off(To("log.level", lambda _: "debug")),
    "graceful_timeout": To("timeouts.graceful"),
    "shutdown_timeout": To("timeouts.graceful"),
    "startup_timeout": To("timeouts.boot"),
    "read_timeout": To("timeouts.body"),
    "max_requests": To("lifecycle.max_requests", differs=DRAINS),
    "max_requests_jitter": To("lifecycle.max_requests_jitter"),
    "keep_alive": To("timeouts.keepalive"),
    "keep_alive_timeout": To("timeouts.keepalive"),
    "keep_alive_max_requests": To("limits.keepalive_requests"),
    "user": _hypercorn_owner,
    "group": _hypercorn_owner,
    "umask": To("process.umask", octal, "it holds for all files, not for Unix sockets alone: see server.unix_mode"),
    "worker_class": _hypercorn_class,
    "workers": To("server.workers"),
    "pid": To("process.pid_file"),
    "pid_path": To("process.pid_file"),
    "reload": To("server.reload"),
    "use_reloader": To("server.reload"),
    "root_path": To("app.root_path"),
    "server_name": Missing("let the proxy in front answer for other hosts"),
    "server_names": Missing("let the proxy in front answer for other hosts"),
    "statsd_host": STATSD,
    "statsd_prefix": STATSD,
    "dogstatsd_tags": STATSD,
    "websocket_ping_interval": To("websocket.ping_interval"),
    "websocket_max_message_size": To("websocket.max_message_bytes"),
    "h11_max_incomplete_size": To("limits.head_bytes", differs="it bounds the head alone"),
    "include_date_header": Off(Needless("responses have a Date, as RFC 9110 wants")),
    "include_server_header": _header_switch,
    "log_config": LOGGING,
    "logconfig": LOGGING,
    "logconfig_dict": LOGGING,
    "log_level": To("log.level", level),
    "loglevel": To("log.level", level),
    "max_app_queue_size": Needless("a client that sends faster than the application reads is held back by TCP"),
    "wsgi_max_body_size": To("limits.body_bytes"),
    "proxy_mode": Missing("proxy.trusted and proxy.headers say whose word is taken"),
    "lifespan": To("app.lifespan"),
    **dict.fromkeys(
        (
            *("ca_certs", "certfile", "cert_reqs", "ciphers", "keyfile", "keyfile_password", "verify_mode"),
            *("verify_flags", "ssl_handshake_timeout", "alpn_protocols", "alt_svc_headers"),
        ),
        TLS,
    ),
}

HYPERCORN_FLAGS: Final[dict[str, Flag]] = {
    **values(
        *("--access-log", "--backlog", "--ca-certs", "--certfile", "--cert-reqs", "--ciphers", "--error-log"),
        *("--graceful-timeout", "--read-timeout", "--max-requests", "--max-requests-jitter", "--keep-alive"),
        *("--keyfile", "--keyfile-password", "--log-config", "--log-level", "--root-path", "--statsd-host"),
        *("--statsd-prefix", "--verify-mode", "--websocket-ping-interval"),
    ),
    **flags("--access-logfile", name="access_log"),
    **flags("--access-logformat", name="access_log_format"),
    **flags("-b", "--bind", many=True),
    **flags("--insecure-bind", many=True),
    **flags("--quic-bind", many=True),
    **flags("--server-name", many=True),
    **flags("-c", "--config"),
    **flags("-D", "--daemon", const=True),
    **flags("--error-logfile", "--log-file", name="error_log"),
    **flags("-g", "--group"),
    **flags("-k", "--worker-class"),
    **flags("-p", "--pid"),
    **flags("-m", "--umask"),
    **flags("-u", "--user"),
    **flags("-w", "--workers"),
    **switches("--debug", "--reload"),
}

HYPERCORN: Final = Server("hypercorn", HYPERCORN_RULES, HYPERCORN_FLAGS, read_hypercorn)

# -- granian


def _granian_keepalive(draft: Draft, said: Said) -> None:
    if said.value is False:
        draft.put("timeouts.keepalive", said, lambda _: 0)


def _granian_silence(draft: Draft, said: Said) -> None:
    if said.value is False:
        draft.put("log.error", said, lambda _: "off")


def _finish_granian(draft: Draft, said: Mapping[str, Any]) -> None:
    _bind(draft, said, "granian")
    if "metrics_port" in said or "metrics_address" in said or said.get("metrics"):
        text = f"{said.get('metrics_address', '127.0.0.1')}:{said.get('metrics_port', 9090)}"
        draft.put("control.metrics_bind", Said("granian", "--metrics", text), lambda one: [address(one, port=9090)])
    if "blocking_threads" not in said and _interface_of(said) == "wsgi":
        draft.imply("app.threads", 1, "as granian does unasked: raise it when the application is thread-safe")


def _interface_of(said: Mapping[str, Any]) -> str:
    return str(said.get("interface", "rsgi")).lower()


GRANIAN_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(("host", "port", "uds", "metrics", "metrics_address", "metrics_port"), _read_at_the_end),
    "uds_permissions": To("server.unix_mode", octal),
    "interface": To("app.interface", _interface),
    "http": ONE_CODEC,
    "ws": ONE_WEBSOCKET,
    "workers": To("server.workers"),
    "blocking_threads": To("app.threads", up_to),
    "blocking_threads_idle_timeout": Needless("threads that are idle are trimmed"),
    **dict.fromkeys(("runtime_threads", "runtime_blocking_threads", "runtime_mode"), RUNTIME),
    "loop": To("app.loop", _loop),
    "task_impl": Needless("applications run as asyncio tasks"),
    "backlog": To("server.backlog"),
    "backpressure": To("app.max_concurrency", differs="requests past it wait in order; connections are accepted on"),
    "http1_buffer_size": To("limits.head_bytes", differs="it bounds the head of a request"),
    "http1_header_read_timeout": To("timeouts.head", lambda value: f"{value}ms"),
    "http1_keep_alive": _granian_keepalive,
    "http1_pipeline_flush": Needless("answers to pipelined requests leave together"),
    **dict.fromkeys(
        (
            *("http2_adaptive_window", "http2_initial_connection_window_size", "http2_initial_stream_window_size"),
            *("http2_keep_alive_interval", "http2_keep_alive_timeout", "http2_max_concurrent_streams"),
            *("http2_max_frame_size", "http2_max_headers_size", "http2_max_send_buffer_size"),
        ),
        HTTP2,
    ),
    "log": _granian_silence,
    "log_level": To("log.level", level),
    "log_config": LOGGING,
    "access_log": ACCESS_LOG_SWITCH,
    "access_log_fmt": Missing("log.access_format is combined, json or a format like Apache's"),
    **dict.fromkeys(
        (
            *("ssl_certificate", "ssl_keyfile", "ssl_keyfile_password", "ssl_protocol_min", "ssl_ca", "ssl_crl"),
            "ssl_client_verify",
        ),
        TLS,
    ),
    "url_path_prefix": To("app.root_path"),
    "respawn_failed_workers": Needless("workers that die are replaced; crash loops back off"),
    "respawn_interval": Needless("a reload starts the next worker when the one before is ready"),
    "rss_sample_interval": Needless("memory is looked at as a worker serves"),
    "rss_samples": Needless("memory is looked at as a worker serves"),
    "workers_lifetime": To("lifecycle.max_age", differs=DRAINS),
    "workers_max_rss": To("lifecycle.max_memory", lambda value: f"{value}m", DRAINS),
    "workers_kill_timeout": To("timeouts.graceful"),
    "factory": To("app.factory"),
    "working_dir": To("app.chdir"),
    "env_files": FILE,
    **dict.fromkeys(
        ("static_path_route", "static_path_mount", "static_path_dir_to_file", "static_path_expires"), STATIC
    ),
    "metrics_scrape_interval": Needless("figures are read when they are asked for"),
    "reload": To("server.reload"),
    "reload_paths": To("server.reload_dirs", words),
    **dict.fromkeys(("reload_ignore_dirs", "reload_ignore_patterns", "reload_ignore_paths", "reload_tick"), WATCHED),
    "reload_ignore_worker_failure": Needless("`drawbar dev` waits for the next change when a worker cannot start"),
    "process_name": TITLE,
    "pid_file": To("process.pid_file"),
}

GRANIAN_FLAGS: Final[dict[str, Flag]] = {
    **values(
        *(f"--{name.replace('_', '-')}" for name in GRANIAN_RULES if name not in ("metrics", "log", "ws")),
    ),
    **pairs(
        *("--ws", "--http1-keep-alive", "--http1-pipeline-flush", "--http2-adaptive-window", "--log", "--access-log"),
        *("--ssl-client-verify", "--respawn-failed-workers", "--factory", "--metrics", "--reload"),
        "--reload-ignore-worker-failure",
    ),
    **flags("--reload-paths", many=True),
}

GRANIAN: Final = Server("granian", GRANIAN_RULES, GRANIAN_FLAGS, finish=_finish_granian)
