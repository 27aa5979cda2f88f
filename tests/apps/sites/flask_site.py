"""A Flask application with a view for each thing a WSGI server can get wrong."""

import io
import threading
from collections.abc import Iterator
from hashlib import sha256

from flask import Flask, Response, abort, jsonify, redirect, request, send_file, stream_with_context, url_for
from flask.typing import ResponseReturnValue

app = Flask(__name__)

LARGE = b"0123456789abcdef" * (8 * 1024 * 1024 // 16)
# Opened by one request and awaited by another, so that a test can see bytes arrive before the view has ended.
gate = threading.Event()


@app.get("/")
def index() -> str:
    return "Flask over Drawbar"


@app.post("/form")
def form() -> ResponseReturnValue:
    return jsonify(request.form.to_dict(flat=False))


@app.post("/upload")
def upload() -> ResponseReturnValue:
    file = request.files["file"]
    content = file.read()
    digest = sha256(content).hexdigest()
    return jsonify(
        name=file.filename, type=file.content_type, bytes=len(content), sha256=digest, note=request.form["note"]
    )


@app.post("/echo")
def echo() -> ResponseReturnValue:
    return Response(request.get_data(), content_type=request.content_type)


@app.get("/cookie")
def cookie() -> ResponseReturnValue:
    response = jsonify(dict(request.cookies))
    response.set_cookie("one", "1")
    response.set_cookie("two", "2", httponly=True)
    return response


@app.get("/redirect")
def away() -> ResponseReturnValue:
    return redirect(url_for("index"))


@app.get("/external")
def external() -> ResponseReturnValue:
    return url_for("index", _external=True)


@app.get("/missing")
def missing() -> ResponseReturnValue:
    abort(404)


@app.get("/fault")
def fault() -> ResponseReturnValue:
    raise ZeroDivisionError("a fault of the application's")


@app.get("/late-fault")
def late_fault() -> ResponseReturnValue:
    def body() -> Iterator[bytes]:
        yield b"the first part"
        raise ZeroDivisionError("a fault after the head")

    return Response(body())


@app.get("/stream")
def stream() -> ResponseReturnValue:
    def body() -> Iterator[bytes]:
        yield b"before the gate\n"
        gate.wait(60)
        yield b"after the gate\n"

    return Response(stream_with_context(body()), content_type="text/plain")


@app.get("/generated")
def generated() -> ResponseReturnValue:
    return Response((f"{number}\n" for number in range(1000)), content_type="text/plain")


@app.post("/open")
def open_gate() -> ResponseReturnValue:
    gate.set()
    return "", 204


@app.get("/large")
def large() -> ResponseReturnValue:
    return Response(LARGE, content_type="application/octet-stream")


@app.get("/file")
def file() -> ResponseReturnValue:
    return send_file(__file__, mimetype="text/x-python", conditional=True)


@app.get("/memory-file")
def memory_file() -> ResponseReturnValue:
    return send_file(io.BytesIO(LARGE), mimetype="application/octet-stream")


@app.get("/environ")
def environ() -> ResponseReturnValue:
    return jsonify({name: value for name, value in request.environ.items() if isinstance(value, str)})


@app.get("/path/<path:rest>")
def path(rest: str) -> ResponseReturnValue:
    return jsonify(path=rest, root=request.script_root)
