"""A child that becomes somebody else and tells who it is, run by the tests as a program of its own.

    python privileged.py EVENTS_FD JSON

JSON holds the fields of [process], and under "server" and "log" those sections. The program forks as the master does,
waits for its child, and leaves with its exit code. Told to stay, the child tells of SIGTERM instead of leaving.
"""

import contextlib
import json
import os
import signal
import sys

from drawbar.config import Config, LogConfig, OperatorError, ProcessConfig, ServerConfig
from drawbar.supervisor.host.places import settle_places
from drawbar.supervisor.host.privileges import settle_as
from drawbar.supervisor.process import end_with_parent

EVENTS = int(sys.argv[1])
GRACE_S = 30.0


def tell(**facts: object) -> None:
    os.write(EVENTS, json.dumps(facts).encode() + b"\n")


def main() -> int:
    options = json.loads(sys.argv[2])
    stays = options.pop("stays", False)
    config = Config(
        server=ServerConfig(**options.pop("server", {})),
        log=LogConfig(**options.pop("log", {})),
        process=ProcessConfig(**options),
    )
    try:
        config = settle_places(config)
    except OperatorError as error:
        tell(refused=str(error))
        return 2
    pid = os.fork()
    if pid == 0:
        end_with_parent(GRACE_S)
        try:
            config = settle_as(config, GRACE_S)
        except OperatorError as error:
            tell(failed=str(error))
            os._exit(2)
        describe(config)
        if stays:
            tell(stopped=signal.sigwait([signal.SIGTERM]) == signal.SIGTERM)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def describe(config: Config) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    back = False
    with contextlib.suppress(PermissionError):
        os.setuid(0)
        back = True
    logs = {"error": writes(config.log.error), "access": writes(config.log.access)}
    tell(
        pid=os.getpid(),
        uids=os.getresuid(),
        gids=os.getresgid(),
        groups=sorted(os.getgroups()),
        cwd=os.getcwd(),
        root=sorted(os.listdir("/")),
        user={name: os.environ.get(name) for name in ("USER", "LOGNAME", "HOME")},
        back=back,
        dumpable=os.access("/proc/self/fd", os.R_OK),
        paths=[config.log.error, config.log.access, config.server.temp_dir],
        logs=logs,
    )


def writes(path: str) -> bool | None:
    if path in ("-", "off"):
        return None
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640))
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
