"""uWSGI: uwsgi.ini and its command line, whose options are the same.

The rules have what uWSGI's documentation of everyday deployments names; an option that is none of them is told to be
unknown, for uWSGI has over a thousand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final

from drawbar.cli.importing.draft import Draft, Missing, Needless, Rule, Said, To, Verdict
from drawbar.cli.importing.environment import FILE, variables
from drawbar.cli.importing.flags import Flag, Flags
from drawbar.cli.importing.server import Server
from drawbar.cli.importing.text_file import read_text
from drawbar.cli.importing.words import (
    DRAINS,
    LOGGING,
    PLUGINS,
    PYTHONPATH,
    STATIC,
    STATSD,
    SYSLOG,
    TIMEOUT,
    TITLE,
    TLS,
    addresses,
    log_file,
    octal,
    up_to,
)
from drawbar.config import OperatorError

MIB: Final = "m"
CHEAPER: Final = Missing("the number of workers is set, and changed by TTIN and TTOU or `drawbar ctl workers`")
ROUTING: Final = Missing("routing is the application's, or the proxy's in front")
OTHER_WORK: Final = Missing("run it as a service of its own beside Drawbar")
TOUCH: Final = Missing("send HUP, or `drawbar ctl reload`")
ALWAYS: Final = Needless("it is always so")
EMPEROR: Final = Missing("one Drawbar a site; the service manager keeps them")
NO_PLACE: Final = Needless("it makes no difference here")

_PERCENT: Final = re.compile(r"%\(([^)]+)\)")


def _truth(value: Any) -> bool:
    return str(value).strip().lower() not in ("false", "0", "no", "off", "")


def _binds(value: Any) -> list[str]:
    return addresses(value, port=80, host="")


def _uwsgi_socket(draft: Draft, said: Said) -> None:
    if "server.bind" in draft.values:
        draft.remark(
            Verdict.MISSING, said, "Drawbar speaks HTTP, on the addresses above: change uwsgi_pass to proxy_pass"
        )
    else:
        draft.put("server.bind", said, _binds, "Drawbar speaks HTTP there: change uwsgi_pass to proxy_pass in nginx")


def _read_at_the_end(draft: Draft, said: Said) -> None:
    """Settings that make one of ours together: see _finish."""


def _switch(key: str) -> To:
    return To(key, _truth)


def _mode(value: Any) -> str:
    return "666" if value is True or value == "true" else octal(value)


def _megabytes(value: Any) -> str:
    return f"{int(value)}{MIB}"


def _daemonize(draft: Draft, said: Said) -> None:
    """It names the log."""
    draft.put("process.daemonize", said._replace(value=True))
    if os.sep in str(said.value) or "." in str(said.value):
        draft.put("log.error", said)


def _greenlets(draft: Draft, said: Said) -> None:
    draft.put("app.concurrency", said._replace(value="greenlets"))
    draft.put("app.max_concurrency", said)


def _no_request_log(draft: Draft, said: Said) -> None:
    if _truth(said.value):
        draft.put("log.access", said._replace(value="off"))


RULES: Final[dict[str, Rule]] = {
    "http": To("server.bind", _binds),
    "http-socket": To("server.bind", _binds),
    "http11-socket": To("server.bind", _binds),
    "socket": _uwsgi_socket,
    "uwsgi-socket": _uwsgi_socket,
    **dict.fromkeys(("https", "https-socket", "https2", "ssl-socket", "suwsgi-socket"), TLS),
    **dict.fromkeys(("fastcgi-socket", "scgi-socket"), Missing("Drawbar speaks HTTP, to the proxy too")),
    "shared-socket": Missing("a socket of the service manager's is fd://N in server.bind"),
    "protocol": Missing("Drawbar speaks HTTP"),
    "chmod-socket": To("server.unix_mode", _mode),
    "chown-socket": To("server.unix_owner"),
    **dict.fromkeys(("module", "wsgi", "wsgi-file", "file", "callable"), _read_at_the_end),
    "mount": Missing("one application a server: route by path in the proxy, or in a module of your own"),
    "manage-script-name": Missing("app.root_path is the path the application is mounted at"),
    "chdir": To("app.chdir"),
    "chdir2": To("app.chdir"),
    "pythonpath": PYTHONPATH,
    "python-path": PYTHONPATH,
    "pp": PYTHONPATH,
    **dict.fromkeys(
        ("virtualenv", "home", "venv", "pyhome"), Missing("start the drawbar that is installed in it: VENV/bin/drawbar")
    ),
    "master": ALWAYS,
    "processes": To("server.workers"),
    "workers": To("server.workers"),
    "threads": To("app.threads", up_to),
    "enable-threads": ALWAYS,
    "py-call-osafterfork": ALWAYS,
    "single-interpreter": ALWAYS,
    "need-app": ALWAYS,
    "strict": ALWAYS,
    "vacuum": ALWAYS,
    "die-on-term": ALWAYS,
    "no-orphans": ALWAYS,
    "auto-procname": ALWAYS,
    "ignore-sigpipe": ALWAYS,
    "ignore-write-errors": ALWAYS,
    "disable-write-exception": ALWAYS,
    "harakiri-verbose": ALWAYS,
    "log-master": ALWAYS,
    "http-auto-chunked": ALWAYS,
    "http-keepalive": ALWAYS,
    "http-chunked-input": ALWAYS,
    "http-raw-body": ALWAYS,
    "lazy": Needless("each worker imports the application, unless lifecycle.preload is set"),
    "lazy-apps": Needless("each worker imports the application, unless lifecycle.preload is set"),
    "thunder-lock": Needless("a busy worker leaves new connections to the others"),
    "offload-threads": Needless("the reactor sends to slow clients, no worker waits for them"),
    "memory-report": Needless("`drawbar ctl status` shows memory, shared and own"),
    "harakiri": To("timeouts.request", differs=TIMEOUT),
    "http-timeout": To("timeouts.send"),
    "socket-timeout": To("timeouts.body"),
    "socket-send-timeout": To("timeouts.send"),
    "http-connect-timeout": NO_PLACE,
    "max-requests": To("lifecycle.max_requests", differs=DRAINS),
    "max-requests-delta": To("lifecycle.max_requests_jitter"),
    "min-worker-lifetime": NO_PLACE,
    "max-worker-lifetime": To("lifecycle.max_age", differs=DRAINS),
    "reload-on-rss": To("lifecycle.max_memory", _megabytes, DRAINS),
    "evil-reload-on-rss": To("lifecycle.max_memory", _megabytes, DRAINS),
    "reload-on-as": Missing("lifecycle.max_memory looks at resident memory"),
    "limit-as": Missing("let the service manager bound memory; lifecycle.max_memory replaces a worker in time"),
    "reload-mercy": To("timeouts.graceful"),
    "worker-reload-mercy": To("timeouts.graceful"),
    "listen": To("server.backlog"),
    "buffer-size": To("limits.head_bytes", differs="it bounds the head of a request"),
    "http-buffer-size": To("limits.head_bytes", differs="it bounds the head of a request"),
    "post-buffering": To(
        "limits.body_memory_bytes", differs="bodies are always buffered: up to this in memory, the rest in a file"
    ),
    "post-buffering-bufsize": NO_PLACE,
    "limit-post": To("limits.body_bytes"),
    "uid": To("process.user", str),
    "gid": To("process.group", str),
    "umask": To("process.umask", octal),
    "chroot": To("process.chroot"),
    "pidfile": To("process.pid_file"),
    "pidfile2": To("process.pid_file"),
    "safe-pidfile": To("process.pid_file"),
    "daemonize": _daemonize,
    "daemonize2": _daemonize,
    "logto": To("log.error", log_file),
    "logto2": To("log.error", log_file),
    "logger": LOGGING,
    "log-syslog": SYSLOG,
    "req-logger": Missing("log.access takes a path"),
    "log-format": Missing("log.access_format is combined, json or a format like Apache's"),
    "logformat": Missing("log.access_format is combined, json or a format like Apache's"),
    "log-date": ALWAYS,
    "log-x-forwarded-for": Missing(
        "proxy.trusted says whose X-Forwarded-For is taken, for the log and the application"
    ),
    "log-4xx": Missing("the access log has every request or none"),
    "log-5xx": Missing("the access log has every request or none"),
    "log-slow": Missing("log.access_format = json has every request's duration_ms"),
    "log-maxsize": Missing("rotate with logrotate, and send USR1"),
    "log-reopen": ALWAYS,
    "disable-logging": _no_request_log,
    **dict.fromkeys(
        ("cheaper", "cheaper-algo", "cheaper-initial", "cheaper-step", "cheaper-overload", "cheap", "idle"), CHEAPER
    ),
    "gevent": _greenlets,
    "gevent-monkey-patch": ALWAYS,
    "gevent-early-monkey-patch": ALWAYS,
    **dict.fromkeys(
        ("async", "asyncio", "ugreen", "loop", "greenlet"), Missing("app.concurrency: greenlets or tasks (ASGI)")
    ),
    "stats": To("control.metrics_bind", _binds, "it answers /metrics in Prometheus' format"),
    "stats-http": Needless("/metrics is HTTP"),
    "memory-report-full": NO_PLACE,
    "carbon": STATSD,
    "statsd-push": STATSD,
    **dict.fromkeys(
        ("static-map", "static-map2", "check-static", "static-index", "static-expires", "static-gzip-all"), STATIC
    ),
    **dict.fromkeys(("route", "route-uri", "route-host", "route-run", "error-route"), ROUTING),
    "add-header": Missing("let the application, a middleware or the proxy in front add it"),
    "env": variables,
    "for-readline": FILE,
    "ini": Missing("import that file too"),
    "include": Missing("import that file too"),
    "py-autoreload": To("server.reload", lambda seconds: _truth(seconds)),
    "python-autoreload": To("server.reload", lambda seconds: _truth(seconds)),
    **dict.fromkeys(
        ("touch-reload", "touch-chain-reload", "touch-workers-reload", "touch-logreopen", "fs-reload"), TOUCH
    ),
    **dict.fromkeys(("procname", "procname-prefix", "procname-prefix-spaced", "procname-master"), TITLE),
    "plugin": PLUGINS,
    "plugins": PLUGINS,
    "plugin-dir": PLUGINS,
    **dict.fromkeys(("emperor", "vassals-include", "vassals", "master-fifo"), EMPEROR),
    **dict.fromkeys(
        (
            *("spooler", "spooler-processes", "mule", "mules", "farm", "cron", "cron2", "unique-cron", "timer"),
            *("attach-daemon", "attach-daemon2", "smart-attach-daemon", "cache", "cache2", "rpc", "subscribe-to"),
        ),
        OTHER_WORK,
    ),
    "reuse-port": _switch("listen.reuseport"),
    "so-keepalive": NO_PLACE,
    "tcp-nodelay": _switch("listen.nodelay"),
    "so-rcvbuf": To("listen.receive_buffer"),
    "so-sndbuf": To("listen.send_buffer"),
    "wsgi-disable-file-wrapper": NO_PLACE,
    "cpu-affinity": Missing("let the service manager bind processes to cores"),
    "import": Missing("import it in the application, or in hooks.after_fork"),
    "python-import": Missing("import it in the application, or in hooks.after_fork"),
    **dict.fromkeys(
        ("exec-asap", "exec-pre-app", "exec-post-app", "hook-post-app", "hook-pre-app", "hook-as-root"),
        Missing("let the service manager run it before the start (ExecStartPre)"),
    ),
    "exec-as-user": Missing("let the service manager run it before the start (ExecStartPre)"),
    "catch-exceptions": To("app.debug", _truth, "only for development"),
}

SHORT: Final = {
    "-s": "socket",
    "-p": "processes",
    "-t": "harakiri",
    "-M": "master",
    "-w": "module",
    "-H": "home",
    "-l": "listen",
    "-b": "buffer-size",
    "-R": "max-requests",
    "-z": "socket-timeout",
    "-d": "daemonize",
    "-L": "disable-logging",
    "-C": "chmod-socket",
    "-T": "enable-threads",
    "-S": "set",
}
SWITCHES: Final = frozenset(
    name
    for name, rule in RULES.items()
    if rule is ALWAYS or name in ("disable-logging", "reuse-port", "lazy-apps", "lazy")
)
MANY: Final = frozenset(
    {"http", "http-socket", "http11-socket", "socket", "uwsgi-socket", "env", "static-map", "mount"}
)


def _flags() -> Flags:
    """Every rule is an option, short ones beside it. An option that may go without a value takes the one behind it."""
    table = {f"--{name}": Flag(name, True if name in SWITCHES else None, name in MANY) for name in RULES}
    return table | {short: table[f"--{name}"] for short, name in SHORT.items() if f"--{name}" in table}


def read(path: str) -> list[Said]:
    """uwsgi.ini. Its keys repeat, and its values have %(names) of other keys, so it is no file for configparser."""
    found: dict[str, list[str]] = {}
    section = ""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        if text.startswith("["):
            section = text.strip("[]").split(":")[0].strip()
            continue
        if section != "uwsgi":
            continue
        name, equals, value = text.partition("=")
        if not equals:
            value = "true"
        if not re.fullmatch(r"[\w.$%()@-]+", name.strip()):
            raise OperatorError(f"line {number} is no setting: {text}", where=path, right="write name = value")
        found.setdefault(name.strip(), []).append(value.strip())
    # What only fills in others is no setting.
    fillers = {name for said in found.values() for value in said for name in _PERCENT.findall(value)} - RULES.keys()
    names = {name: said[-1] for name, said in found.items()} | _magic(path)
    return [
        Said("uwsgi", name, [_expand(value, names) for value in said] if len(said) > 1 else _expand(said[0], names))
        for name, said in found.items()
        if name not in fillers
    ]


def _magic(path: str) -> dict[str, str]:
    """uWSGI's "magic variables" (Configuration, "Magic variables"): those of a file's name."""
    absolute = os.path.abspath(path)
    name = os.path.basename(absolute)
    return {"d": os.path.dirname(absolute) + os.sep, "n": os.path.splitext(name)[0], "s": name, "p": absolute}


def _expand(value: str, names: Mapping[str, str]) -> str:
    """The value with %(name) of others and %d, %n, %s, %p in it; 16 deep at most, as a name may mean itself."""
    for _ in range(16):
        expanded = _PERCENT.sub(lambda found: names.get(found[1], found[0]), value)
        if expanded == value:
            break
        value = expanded
    return re.sub(r"%([dnsp])(?![\w(])|%d", lambda found: names[found[1] or "d"], value)


def _finish(draft: Draft, said: Mapping[str, Any]) -> None:
    """Module or file, and the callable in it, name the application; requests are logged unless told otherwise."""
    module = said.get("module") or said.get("wsgi")
    file = said.get("wsgi-file") or said.get("file")
    name = said.get("callable")
    if module or file:
        target = str(module or file)
        where = "module" if module else "wsgi-file"
        if ":" not in target:
            target = f"{target}:{name or 'application'}"
        draft.put("app.target", Said("uwsgi", where, target))
    elif name:
        draft.remark(Verdict.MISSING, Said("uwsgi", "callable", name), "there is no module or wsgi-file it is in")
    if "threads" not in said and "gevent" not in said:
        draft.imply("app.threads", 1, "as uWSGI does unasked: raise it when the application is thread-safe")
    draft.imply("log.access", "-", "as uWSGI does unasked")


UWSGI: Final = Server("uwsgi", RULES, _flags(), read, _finish)
