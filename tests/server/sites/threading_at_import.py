"""An application that starts a thread while it is imported, and tells how many its process has."""

import threading
from typing import Any

threading.Thread(target=threading.Event().wait, name="ticker", daemon=True).start()


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"%d thread" % threading.active_count()]
