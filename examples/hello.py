"""A plain WSGI application: a page that says it works, and shows the request it answers.

Run it:  drawbar run --chdir examples hello:app      then open http://127.0.0.1:8000/
"""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>It works</title>
<style>
  :root {{ color-scheme: light dark; --line: #8884; --accent: #c2410c }}
  @media (prefers-color-scheme: dark) {{ :root {{ --accent: #fb923c }} }}
  body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 4rem 1.25rem }}
  h1 {{ font-size: 2.25rem; line-height: 1.15; margin: 0 0 .5rem; letter-spacing: -.02em }}
  h1 span {{ color: var(--accent) }}
  p {{ margin: 0 0 2.5rem; opacity: .8 }}
  table {{ border-collapse: collapse; width: 100%; font-size: .875rem }}
  th, td {{ text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0; border-top: 1px solid var(--line) }}
  th {{ font-weight: 500; white-space: nowrap; opacity: .7 }}
  td {{ font-family: ui-monospace, monospace; overflow-wrap: anywhere }}
</style>
<h1>It <span>works</span>.</h1>
<p>This page is a WSGI application, served by {server}. Below is the request it answers.</p>
<table>
{rows}
</table>
</html>
"""


def request_lines(environ: "WSGIEnvironment") -> Iterable[tuple[str, str]]:
    """What the browser sent, and where the request came in: label and value."""
    query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    yield "Request", f"{environ['REQUEST_METHOD']} {path}{query} {environ['SERVER_PROTOCOL']}"
    yield "From", environ.get("REMOTE_ADDR") or "a Unix socket"
    threads, processes = environ["wsgi.multithread"], environ["wsgi.multiprocess"]
    yield "Served by", f"{'several' if processes else 'one'} process, {'several threads' if threads else 'one thread'}"
    for name, value in sorted(environ.items()):
        if name.startswith("HTTP_"):
            yield name[5:].replace("_", "-").title(), value


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    """The application."""
    rows = "\n".join(f"<tr><th>{escape(label)}<td>{escape(value)}" for label, value in request_lines(environ))
    page = PAGE.format(server=escape(environ.get("SERVER_SOFTWARE", "Drawbar")), rows=rows).encode()
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page)))])
    return [page]
