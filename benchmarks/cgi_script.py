"""The application as a CGI script (RFC 3875): an interpreter for each request, which imports it anew."""

import sys
from pathlib import Path
from wsgiref.handlers import CGIHandler

# Run as a file, Python's path begins with this directory; its modules are those of the package around it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import apps  # noqa: E402 - the path above comes first

CGIHandler().run(apps.hello)
