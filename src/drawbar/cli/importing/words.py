"""What the servers' tables share: conversions of values, and phrases for what is missing everywhere."""

from __future__ import annotations

from typing import Any, Final

from drawbar.cli.importing.draft import Draft, Missing, Needless, Said, Verdict

TLS: Final = Missing("TLS is the proxy's in front")
HTTP2: Final = Missing("HTTP/1.1 only; the proxy in front may speak more to clients")
SYSLOG: Final = Missing("log to standard error, and let the service manager or logger(1) pass it on")
LOGGING: Final = Missing("Drawbar's own log has one form; logging is configured by the application")
STATSD: Final = Missing("set control.metrics_bind and let Prometheus fetch the figures")
TITLE: Final = Missing('processes are called "drawbar: master" and "drawbar: worker N"')
STATIC: Final = Missing("let the proxy in front, or the application, serve files")
PYTHONPATH: Final = Missing("set PYTHONPATH; the directory the server starts in, or app.chdir, is searched anyway")
UWSGI: Final = Missing("Drawbar speaks HTTP: change uwsgi_pass to proxy_pass in nginx")
PLUGINS: Final = Needless("nothing is loaded by name")

DRAINS: Final = "the replacement starts first, then the worker drains: no request is lost"
TIMEOUT: Final = (
    "the client gets 504 and the log that call's stack; the worker's other requests finish before it is replaced"
)
QUEUES: Final = "requests past it wait in the worker instead of being refused with 503"
LIVENESS: Final = "it watches that the worker's loop turns; requests may take as long as they need"
BELIEVED: Final = (
    "the client's address comes from these proxies' X-Forwarded-For, the scheme from X-Forwarded-Proto "
    "(see proxy.headers)"
)

_LEVELS: Final = {"critical": "error", "fatal": "error", "trace": "debug", "warn": "warning", "notice": "info"}


def level(value: Any) -> Any:
    """A level's name; those Drawbar does not have become their neighbours."""
    text = str(value).lower()
    return _LEVELS.get(text, text)


def octal(value: Any) -> str:
    """A file mode as octal text, from a number or from text in any of its spellings."""
    if isinstance(value, int):
        return f"{value:03o}"
    text = str(value).strip().lower()
    return text if text.startswith("0o") else f"{text.removeprefix('0x'):0>3}"


def address(value: Any, *, port: int, host: str = "127.0.0.1") -> str:
    """An address as Drawbar writes it, from the ways these servers do; `port` and `host` fill in what is not said."""
    text = str(value).strip()
    for prefix in ("tcp://", "http://"):
        text = text.removeprefix(prefix)
    if text.startswith("unix:"):
        return "unix:" + text.removeprefix("unix:").removeprefix("//")
    if text.startswith(("fd:", "ssl:", "https:")):
        return text
    if text.startswith(("/", "@", "~")):
        return f"unix:{text}"
    text = text.removesuffix("/")
    if text.isdigit():
        return f"{host}:{text}"
    if text.startswith("[") and text.endswith("]"):
        return f"{text}:{port}"
    if text.count(":") > 1 and not text.startswith("["):
        return f"[{text}]:{port}"
    name, colon, number = text.rpartition(":")
    if not colon:
        return f"{text}:{port}"
    return f"{'' if name == '0.0.0.0' and host == '*' else name}:{number}"


def addresses(value: Any, *, port: int, host: str = "127.0.0.1") -> list[str]:
    """Several of them, in a list or separated by commas."""
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    return [address(part, port=port, host=host) for part in parts if str(part).strip()]


def words(value: Any) -> list[str]:
    """The parts of a list, or of text with commas."""
    return [str(part).strip() for part in (value if isinstance(value, list | tuple) else str(value).split(","))]


def up_to(value: Any) -> str:
    """A number of threads as a range: they are started as they are needed."""
    count = int(value)
    return "1" if count == 1 else f"1:{count}"


def log_file(value: Any) -> str:
    """A log's place; none is `off`."""
    return "off" if value in (None, False, "") else str(value)


def hook(key: str) -> Missing:
    """A function in a configuration file, which has a hook here."""
    return Missing(f'move it into a module and name it: hooks.{key} = "module:function"; its arguments differ')


def application(draft: Draft, said: Said) -> None:
    """`module:app`, `module:make()` or `module`; a call becomes a factory."""
    text = str(said.value).strip()
    call = text.endswith("()")
    if "(" in text and not call:
        why = "name a function without arguments, with app.factory, in a module of your own"
        draft.remark(Verdict.MISSING, said, why)
        return
    draft.put("app.target", said._replace(value=text.removesuffix("()")))
    if call:
        draft.put("app.factory", said._replace(value=True))
