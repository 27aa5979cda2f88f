"""A program that becomes a daemon, run by the tests.

    python daemonized.py EVENTS_FD LIFE_FD ENDING

The daemon tells about itself on EVENTS_FD, comes to the ENDING it was given, and lives until LIFE_FD is closed.
"""

import json
import os
import sys

from drawbar.config import OperatorError
from drawbar.supervisor.host.daemon import daemonize

EVENTS, LIFE = int(sys.argv[1]), int(sys.argv[2])


def main() -> int:
    print("before", flush=False)
    try:
        teller = daemonize("/var/log/site.log")
    except OperatorError as error:
        print(f"drawbar: error: {error}", file=sys.stderr)
        return 2
    facts = {
        "pid": os.getpid(),
        "leads": os.getsid(0) == os.getpid(),
        "session": os.getsid(0),
        "cwd": os.getcwd(),
        "streams": [os.readlink(f"/proc/self/fd/{number}") for number in range(3)],
        "listen_pid": os.environ.get("LISTEN_PID"),
        "descriptors": len(teller.descriptors()),
    }
    os.write(EVENTS, json.dumps(facts).encode() + b"\n")
    print("into nothing")
    ending = sys.argv[3]
    if ending == "serves":
        teller.ready()
        teller.failed(OperatorError("too late"))
        assert teller.descriptors() == ()
        os.read(LIFE, 1)
    elif ending == "fails":
        teller.failed(OperatorError("the address is in use", where="--bind :80", right="choose another"))
    elif ending == "gives up":
        teller.close()
        os.read(LIFE, 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
