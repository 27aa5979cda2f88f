"""The page a developer sees in place of a bare 500: what was raised, where, with which values, for which request.

Law: for development only, as it shows source and values. One document without scripts and without a second request.
Everything on it is escaped; values of names that look like secrets are masked wherever they can be told; whatever the
exception or a local does when it is shown, a page comes out.
"""

from __future__ import annotations

import html
import linecache
import os
import re
import reprlib
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any, Final, NamedTuple

from drawbar.exchange.refusals import describe
from drawbar.exchange.seen import Shown

CONTEXT_LINES: Final = 5
"""Of source, before and behind the line that was running."""

MOST_FRAMES: Final = 40
"""Of one exception; the innermost are kept, as a recursion repeats the others."""

MOST_LOCALS: Final = 40
"""Of one frame."""

MOST_CHAINED: Final = 8
"""Exceptions that led to one another."""

VALUE_CHARACTERS: Final = 400
"""Of one value."""

MASK: Final = "••••••"
_SECRET: Final = re.compile(
    r"passw|passphrase|secret|token|cookie|authori[sz]ation|api_?key|private_?key|credential|session_?id|csrf|signature",
    re.IGNORECASE,
)
# In a query or a form: name=value.
_PAIR: Final = re.compile(rf"([\w.-]*(?:{_SECRET.pattern})[\w.-]*=)[^&;,\s\"']+", re.IGNORECASE)


def mask(text: str) -> str:
    """`text` without the values of secret parameters in it."""
    return _PAIR.sub(rf"\1{MASK}", text)


def is_secret(name: object) -> bool:
    """Whether values of that name are not for a screen."""
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return isinstance(name, str) and _SECRET.search(name.replace("-", "_")) is not None


class _Repr(reprlib.Repr):
    """Values in little room, secrets left out."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = 12
        self.maxstring = self.maxother = self.maxlong = VALUE_CHARACTERS

    def repr1(self, x: Any, level: int) -> str:
        try:
            # By what it is, not as the base class does by the name of its type: headers and cookies are mappings too.
            return self.repr_dict(x, level) if isinstance(x, Mapping) else super().repr1(x, level)
        except Exception as error:
            return f"<{type(x).__name__}, whose repr raised {type(error).__name__}>"

    def repr_dict(self, x: Mapping[Any, Any], level: int) -> str:
        if level <= 0:
            return "{...}"
        shown = [f"{self.repr1(key, level - 1)}: {self._value(key, x[key], level)}" for key in list(x)[: self.maxdict]]
        return "{" + ", ".join(shown + ["..."] * (len(x) > self.maxdict)) + "}"

    def repr_tuple(self, x: tuple[Any, ...], level: int) -> str:
        # A header, a cookie or a parameter on its way.
        if len(x) == 2 and is_secret(x[0]):
            return f"({self.repr1(x[0], level - 1)}, {MASK})"
        return super().repr_tuple(x, level)

    def _value(self, key: Any, value: Any, level: int) -> str:
        return MASK if is_secret(key) else self.repr1(value, level - 1)


def shorten(name: str, value: object) -> str:
    """The value of a local, as the page shows it."""
    if is_secret(name):
        return MASK
    text = mask(_Repr().repr(value))
    return text if len(text) <= 3 * VALUE_CHARACTERS else text[: 3 * VALUE_CHARACTERS] + "..."


class Frame(NamedTuple):
    """One call on the way to the exception. `columns`: what of its line was running, as (from, to) in characters."""

    path: str
    line: int
    function: str
    columns: tuple[int, int] | None
    source: list[tuple[int, str]]
    values: list[tuple[str, str]]
    is_library: bool


def frames_of(trace: TracebackType | None) -> list[Frame]:
    """The calls of a traceback, the innermost first."""
    walked = list(traceback.walk_tb(trace))[-MOST_FRAMES:]
    summaries = traceback.extract_tb(trace)[-MOST_FRAMES:]
    return [_frame(frame, summary) for (frame, _), summary in zip(reversed(walked), reversed(summaries), strict=True)]


def _frame(frame: FrameType, summary: traceback.FrameSummary) -> Frame:
    line = summary.lineno or 1
    linecache.checkcache(summary.filename)
    lines = linecache.getlines(summary.filename, frame.f_globals)
    first = max(1, line - CONTEXT_LINES)
    source = [
        (number, lines[number - 1].rstrip("\n")) for number in range(first, min(len(lines), line + CONTEXT_LINES) + 1)
    ]
    values = [(name, shorten(name, value)) for name, value in list(frame.f_locals.items())[:MOST_LOCALS]]
    text = lines[line - 1] if line <= len(lines) else ""
    return Frame(
        summary.filename, line, summary.name, _columns(summary, text), source, values, _is_library(summary.filename)
    )


def _columns(summary: traceback.FrameSummary, text: str) -> tuple[int, int] | None:
    """Python counts columns in bytes of UTF-8."""
    start, end = summary.colno, summary.end_colno
    if start is None or end is None or summary.lineno is None:
        return None
    encoded = text.encode("utf-8", "surrogatepass")
    if summary.end_lineno != summary.lineno:
        end = len(encoded.rstrip())
    return len(encoded[:start].decode("utf-8", "replace")), len(encoded[:end].decode("utf-8", "replace"))


def _library_folders() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = {paths["stdlib"], paths["purelib"], paths["platlib"], *site.getsitepackages()}
    folders.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return tuple(folder + os.sep for folder in folders)


_LIBRARIES: Final = _library_folders()


def _is_library(path: str) -> bool:
    return path.startswith(("<frozen", *_LIBRARIES))


def _chain(error: BaseException) -> Iterator[tuple[str, BaseException]]:
    """The exception and those behind it, as the interpreter names them."""
    seen: set[int] = set()
    how = ""
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(seen) < MOST_CHAINED:
        seen.add(id(current))
        yield how, current
        if current.__cause__ is not None:
            how, current = "caused by", current.__cause__
        elif current.__suppress_context__:
            return
        else:
            how, current = "while handling", current.__context__


def render(error: BaseException, exchange: Shown) -> bytes:
    """The page as HTML in UTF-8. Raises nothing."""
    try:
        return _page(error, exchange).encode("utf-8", "backslashreplace")
    except Exception as broken:
        what = html.escape(f"{describe(error)}\n\n(the debug page failed itself: {describe(broken)})")
        return f"<!doctype html><title>500</title><pre>{what}</pre>".encode("utf-8", "backslashreplace")


def _page(error: BaseException, exchange: Shown) -> str:
    e = html.escape
    title = e(describe(error))
    target = mask(exchange.target)
    peer = exchange.remote
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{_STYLE}</style>
<header>
<p class="request"><b>{e(exchange.method)}</b> <span>{e(target)}</span> HTTP/{e(exchange.http_version)}</p>
<h1>{e(type(error).__qualname__)}</h1>
{_message(error)}
</header>
<main>
{"".join(_exception(how, each) for how, each in _chain(error))}
<section>
<h2>Request</h2>
{_table([("from", f"{peer[0]} port {peer[1]}" if peer else "a Unix socket"), *_headers(exchange)])}
</section>
<section>
<details class="plain"><summary>Traceback as text</summary><pre>{e(_text(error))}</pre></details>
</section>
</main>
<footer>Drawbar's debug page, shown because the server runs for development.
Python {e(sys.version.split()[0])}, process {os.getpid()}</footer>
</html>
"""


def _message(error: BaseException) -> str:
    text = describe(error).partition(": ")[2]
    notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
    return f'<p class="message">{html.escape(mask(text + notes))}</p>' if text or notes else ""


def _text(error: BaseException) -> str:
    return mask("".join(traceback.format_exception(error)))


def _headers(exchange: Shown) -> list[tuple[str, str]]:
    return [(name, MASK if is_secret(name) else value) for name, value in exchange.headers]


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _exception(how: str, error: BaseException) -> str:
    """One exception of the chain. The innermost frame of the application's own code stands open."""
    frames = frames_of(error.__traceback__)
    own = next((at for at, frame in enumerate(frames) if not frame.is_library), 0)
    heading = f"{how.capitalize()} {describe(error)}" if how else "Traceback, innermost call first"
    inside = "".join(_frame_html(frame, is_open=at == own) for at, frame in enumerate(frames))
    return f"<section><h2>{html.escape(heading)}</h2>{inside}</section>\n"


def _frame_html(frame: Frame, is_open: bool) -> str:
    e = html.escape
    folder, _, name = frame.path.rpartition(os.sep)
    kind = "library" if frame.is_library else "own"
    lines = "".join(_line_html(number, text, frame) for number, text in frame.source)
    source = f'<ol class="source">{lines}</ol>' if lines else '<p class="none">No source for this file.</p>'
    values = f"<details><summary>{len(frame.values)} values</summary>{_table(frame.values)}</details>" * bool(
        frame.values
    )
    return (
        f'<details class="frame {kind}"{" open" * is_open}><summary><b>{e(frame.function)}</b> '
        f'<span class="path">{e(folder)}{os.sep if folder else ""}<i>{e(name)}</i>:{frame.line}</span></summary>'
        f"{source}{values}</details>\n"
    )


def _line_html(number: int, text: str, frame: Frame) -> str:
    e = html.escape
    if number != frame.line:
        return f'<li value="{number}"><code>{e(text) or " "}</code></li>'
    start, end = frame.columns or (len(text) - len(text.lstrip()), len(text.rstrip()))
    marked = f"{e(text[:start])}<mark>{e(text[start:end])}</mark>{e(text[end:])}"
    return f'<li value="{number}" class="now"><code>{marked}</code></li>'


_STYLE: Final = """
:root{color-scheme:light dark;--ground:#fbfaf8;--panel:#fff;--ink:#22201d;--faint:#756f66;--line:#e4dfd7;--red:#b3261e;
--tint:#fdf1ef;--mark:#ffd9d3}
@media(prefers-color-scheme:dark){:root{--ground:#171614;--panel:#1f1e1b;--ink:#e9e5df;--faint:#9b948a;--line:#34312c;
--red:#ff8a7c;--tint:#2c1e1b;--mark:#6b2a22}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
header,main,footer{max-width:68rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:2rem;padding-bottom:1.25rem}
.request{margin:0 0 1.25rem;color:var(--faint);font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}
.request span{color:var(--ink)}
h1{margin:0;color:var(--red);font-size:1.9rem;line-height:1.2;overflow-wrap:anywhere}
.message{margin:.5rem 0 0;font-size:1.15rem;white-space:pre-wrap;overflow-wrap:anywhere}
h2{margin:1.75rem 0 .6rem;font-size:.95rem;font-weight:600;color:var(--faint);overflow-wrap:anywhere}
.frame,.plain,table{background:var(--panel);border:1px solid var(--line);border-radius:8px}
.frame{margin:.4rem 0;overflow:hidden}
.frame.own{border-left:3px solid var(--red)}
summary{cursor:pointer;padding:.5rem .9rem}
.frame.library>summary{color:var(--faint)}
.frame b{margin-right:.6rem;font:600 14px ui-monospace,monospace}
.path{color:var(--faint);font:13px ui-monospace,monospace;overflow-wrap:anywhere}
.path i{font-style:normal;color:var(--ink)}
.source{margin:0;padding:.5rem 0;border-top:1px solid var(--line);list-style-position:outside;overflow-x:auto;
font:13px/1.6 ui-monospace,monospace}
.source li{margin-left:3.5rem;padding:0 .9rem 0 .4rem;white-space:pre;min-width:max-content}
.source li::marker{color:var(--faint)}
.source .now{background:var(--tint);box-shadow:-3.5rem 0 0 var(--tint)}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:1px 0}
.none{margin:0;padding:.5rem .9rem;color:var(--faint)}
.frame details{border-top:1px solid var(--line);font-size:14px}
.frame details summary{color:var(--faint)}
table{width:100%;border-spacing:0;font:13px/1.5 ui-monospace,monospace;table-layout:fixed}
.frame table{border-width:1px 0 0;border-radius:0}
th{width:13rem;padding:.25rem .9rem;text-align:left;vertical-align:top;font-weight:400;color:var(--faint);
overflow-wrap:anywhere}
td{padding:.25rem .9rem .25rem 0;overflow-wrap:anywhere;white-space:pre-wrap}
.plain{margin-top:1.75rem}
.plain pre{margin:0;padding:.75rem .9rem;border-top:1px solid var(--line);overflow-x:auto;
font:13px/1.5 ui-monospace,monospace}
footer{padding-top:2rem;padding-bottom:2rem;color:var(--faint);font-size:13px}
"""
