"""A program as somebody's command would be: says what it was given, and goes."""

import json
import os
import signal
import sys

facts = {
    "arguments": sys.argv[1:],
    "variables": {name: value for name, value in os.environ.items() if name.startswith(("DRAWBAR_", "SITE_"))},
    "directory": os.getcwd(),
    "leads": os.getsid(0) == os.getpid() == os.getpgid(0),
    "input": sys.stdin.read(),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
}
print(json.dumps(facts))
