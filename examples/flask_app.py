"""A Flask application: a guest book in memory.

Run it:  pip install flask;  drawbar run --chdir examples flask_app:app      then open http://127.0.0.1:8000/
"""

import threading

from flask import Flask, redirect, render_template_string, request, url_for
from werkzeug.wrappers import Response

PAGE = """<!doctype html>
<meta charset="utf-8"><title>Guest book</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }</style>
<h1>Guest book</h1>
<form method="post"><input name="line" maxlength="200" required autofocus> <button>Sign</button></form>
<ul>{% for line in lines %}<li>{{ line }}{% else %}<li>Nobody was here yet.{% endfor %}</ul>
"""

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024

# Several threads serve one process. Each worker process has a book of its own: run one, or use a database.
lines: list[str] = []
lock = threading.Lock()


@app.get("/")
def show() -> str:
    """The book and a form to sign it."""
    with lock:
        return render_template_string(PAGE, lines=list(reversed(lines)))


@app.post("/")
def sign() -> Response:
    """Adds a line and goes back to the book."""
    with lock:
        lines.append(request.form["line"][:200])
        del lines[:-100]
    return redirect(url_for("show"), code=303)
