"""What starting a server costs in modules loaded."""

import os
import subprocess
import sys

# asyncio alone is 12 MB, click 3.5, and each of the others is of use only to some servers or after a mistake.
HEAVY = (
    *("asyncio", "click", "random", "rich", "tomllib", "difflib", "ipaddress", "logging", "json", "tempfile"),
    "traceback",
)


def test_starting_a_server_loads_nothing_heavy() -> None:
    code = (
        "import sys, drawbar.cli.aside, drawbar.supervisor.master, drawbar.supervisor.worker.life;"
        "import drawbar.gateways.target, drawbar.config.sources;"
        "drawbar.config.sources.load({}, {});"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    # Measured coverage would load its own modules into the process.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.strip() == "[]"
