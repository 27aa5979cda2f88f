"""A site that says what it found in its environment while it was imported, and as whom it runs."""

import json
import os
import resource
import time
from collections.abc import Callable
from typing import Any

FOUND = {name: value for name, value in os.environ.items() if name.startswith("SITE_")}
ZONE = time.tzname[0]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    facts = {
        "found": FOUND,
        "zone": ZONE,
        "uid": os.getuid(),
        "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
    }
    body = json.dumps(facts).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
