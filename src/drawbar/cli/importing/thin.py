"""thin: its YAML file, and its command line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from drawbar.cli.importing.draft import Draft, Missing, Needless, Off, Rule, Said, To, Verdict
from drawbar.cli.importing.environment import rack_environment
from drawbar.cli.importing.flags import Flag, flags, switches, values
from drawbar.cli.importing.ruby_file import ALWAYS, RUBY
from drawbar.cli.importing.server import Server
from drawbar.cli.importing.text_file import read_text
from drawbar.cli.importing.words import TITLE, TLS, log_file
from drawbar.config import OperatorError


def _read_at_the_end(draft: Draft, said: Said) -> None:
    """Settings that make one of ours together: see _finish_thin."""


def _threads(draft: Draft, said: Said) -> None:
    draft.put("app.threads", said, lambda count: f"1:{count}")


THIN_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(("address", "port", "socket", "servers", "threaded"), _read_at_the_end),
    "swiftiply": Missing("workers that dial out to their front are not served yet"),
    "adapter": RUBY,
    "rackup": RUBY,
    "require": RUBY,
    "chdir": To("app.chdir"),
    "stats": To("control.metrics_bind", lambda _: ["127.0.0.1:9293"], "/metrics has a listener of its own"),
    "environment": rack_environment,
    "prefix": To("app.root_path"),
    "daemonize": To("process.daemonize"),
    "log": To("log.error", log_file),
    "pid": To("process.pid_file"),
    "user": To("process.user", str),
    "group": To("process.group", str),
    "tag": TITLE,
    "only": Missing("`drawbar ctl kill PID` replaces one worker"),
    "onebyone": Needless("a reload is rolling"),
    "wait": To("timeouts.boot"),
    "config": Needless("it was read"),
    "all": Missing("one Drawbar a site; the service manager keeps them"),
    "timeout": To("timeouts.keepalive", differs="it is the silence between requests; see timeouts for the others"),
    "max_conns": To("limits.connections", differs="the worker stops accepting until one closes"),
    "max_persistent_conns": Needless("idle connections cost little; limits.connections bounds all"),
    "threadpool_size": _threads,
    "no-epoll": ALWAYS,
    "no_epoll": ALWAYS,
    "backend": ALWAYS,
    "quiet": Off(To("log.level", lambda _: "error")),
    "debug": Off(To("log.level", lambda _: "debug")),
    "trace": Off(To("log.level", lambda _: "debug")),
    "version": ALWAYS,
    "force": ALWAYS,
    "backlog": To("server.backlog"),
    **dict.fromkeys(
        ("ssl", "ssl_key_file", "ssl_cert_file", "ssl_disable_verify", "ssl_version", "ssl_cipher_list"), TLS
    ),
}

THIN_FLAGS: Final[dict[str, Flag]] = {
    **flags("-a", "--address"),
    **flags("-p", "--port"),
    **flags("-S", "--socket"),
    **flags("-y", "--swiftiply", const=True),
    **flags("-A", "--adapter"),
    **flags("-R", "--rackup"),
    **flags("-c", "--chdir"),
    **flags("-e", "--environment"),
    **flags("-d", "--daemonize", const=True),
    **flags("-l", "--log"),
    **flags("-P", "--pid"),
    **flags("-u", "--user"),
    **flags("-g", "--group"),
    **flags("-s", "--servers"),
    **flags("-o", "--only"),
    **flags("-O", "--onebyone", const=True),
    **flags("-w", "--wait"),
    **flags("-C", "--config"),
    **flags("-t", "--timeout"),
    **flags("-f", "--force", const=True),
    **flags("-r", "--require", many=True),
    **flags("-q", "--quiet", const=True),
    **flags("-D", "--debug", const=True),
    **flags("-V", "--trace", const=True),
    **flags("-b", "--backend"),
    **values("--stats", "--prefix", "--tag", "--all", "--max-conns", "--max-persistent-conns", "--threadpool-size"),
    **switches("--threaded", "--no-epoll", "--ssl", "--ssl-disable-verify"),
    **values("--ssl-key-file", "--ssl-cert-file", "--ssl-version", "--ssl-cipher-list"),
}


def read_thin(path: str) -> list[Said]:
    """thin's YAML: `key: value` lines, and lists of lines that begin with a dash."""
    found: list[Said] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        text = line.split(" #")[0].strip()
        if not text or text[0] == "#" or text in ("---", "..."):
            continue
        if text.startswith("- ") and found:
            parts = found[-1].value if isinstance(found[-1].value, list) else []
            found[-1] = found[-1]._replace(value=[*parts, text[2:].strip()])
            continue
        key = re.match(r":?([A-Za-z_]\w*):(?:\s+(.*))?$", text)
        if key is None:
            raise OperatorError(f"line {number} is no setting: {text}", where=path, right="write key: value")
        found.append(Said("thin", key[1], _scalar(key[2] or "")))
    return found


def _scalar(text: str) -> object:
    """A value of YAML's: a number, a truth, or text with or without quotes."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    truths = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    return truths.get(text.lower(), text)


def _finish_thin(draft: Draft, said: Mapping[str, Any]) -> None:
    if said.get("socket"):
        draft.put("server.bind", Said("thin", "socket", said["socket"]), lambda path: [f"unix:{path}"])
    elif not said.get("swiftiply"):
        text = f"{said.get('address', '0.0.0.0')}:{said.get('port', 3000)}"
        if "address" in said or "port" in said:
            draft.put("server.bind", Said("thin", "address and port", text), lambda one: [one])
        else:
            draft.imply("server.bind", text, "as thin does unasked")
    if "servers" in said:
        differs = "they share one address, where thin's have one each with numbers counted up"
        draft.put("server.workers", Said("thin", "servers", said["servers"]), differs=differs)
    if not said.get("threaded"):
        draft.imply("app.threads", 1, "as thin without --threaded: raise it when the application is thread-safe")
    elif "threadpool_size" not in said:
        draft.put("app.threads", Said("thin", "threaded", "1:20"))


def _thin_command(draft: Draft, said: Said) -> None:
    """start, stop, restart, config, install."""
    if said.value != "start":
        draft.remark(Verdict.MISSING, said, "`drawbar run` starts; `drawbar ctl` stops and restarts")


THIN: Final = Server("thin", THIN_RULES, THIN_FLAGS, read_thin, _finish_thin, _thin_command)
