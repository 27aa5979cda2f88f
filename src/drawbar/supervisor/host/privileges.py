"""As whom a process that runs the application runs: user, groups, root directory. An application may have its own.

`plan_privileges` looks everything up once, in the master, before the first fork: a name that does not exist is told to
whoever started the server. `settle_as` is for the child, before any application code. The master itself stays what it
is: it has the sockets, log files and pid file to renew, and runs no code but its own.

The way down is one way: all groups, then the root directory, then the group, then the user, real, effective and saved
(setresuid(2)), after which nothing of it can be taken back.
"""

import contextlib
import functools
import os
import stat
from typing import Final, NamedTuple

import drawbar
from drawbar.config import Config, OperatorError, ProcessConfig
from drawbar.config.log import OFF, STANDARD
from drawbar.supervisor.host.bounds import bound
from drawbar.supervisor.host.file_access import let_write
from drawbar.supervisor.process import end_with_parent, stay_dumpable

# capabilities(7): their bits in the CapEff line of /proc/self/status.
CAP_SETGID: Final = 6
CAP_SETUID: Final = 7
CAP_SYS_CHROOT: Final = 18

OUTSIDE: Final = ".."
EXIT_BROKEN: Final = 1


class Privileges(NamedTuple):
    """Who a child becomes. Fields that are None or empty stay as they are."""

    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] = ()
    """All supplementary groups; the group itself is among them."""
    name: str = ""
    home: str = ""
    root: str | None = None
    """Absolute path of the directory that becomes "/"."""


@functools.cache
def plan_privileges(config: ProcessConfig) -> Privileges | None:
    """Who the children become; None when they stay who they are. Raises OperatorError.

    Asks the user database, which may be slow and far away, once: children have the answer from their parent.
    """
    uid, gid, name, home = _look_up_user(config.user)
    if config.group is not None:
        gid = _look_up_group(config.group)
    elif config.user is not None and gid is None:
        what = f"there is no user {config.user}, so its group is not known"
        raise OperatorError(what, where="--user", right="give --group as well")
    if uid in (None, os.getuid()) and gid in (None, os.getgid()) and not _is_root():
        # Already so: nothing to do that this process might not do.
        uid = gid = None
    root = None if config.chroot is None else _directory(config.chroot)
    if uid is None and gid is None and root is None:
        return None
    _require_means(uid, gid, root)
    groups = () if gid is None else tuple(os.getgrouplist(name, gid)) if name else (gid,)
    return Privileges(uid, gid, groups, name if uid is not None else "", home, root)


def plans_of_apps(config: Config) -> dict[str, Privileges | None]:
    """Who the processes of each application with a table of its own become. Raises OperatorError naming the table."""
    plans = {}
    for name, table in config.apps.items():
        if not table.has_workers:
            continue
        try:
            plans[name] = plan_privileges(config.for_app(name).process)
        except OperatorError as error:
            if table.user is None and table.group is None:
                raise
            where = f"apps.{name}.{'user' if table.user is not None else 'group'}"
            raise OperatorError(error.what, where=where, right=error.right) from error
    return plans


def _look_up_user(user: str | None) -> tuple[int | None, int | None, str, str]:
    """Number, group, name and home of a user by name or number; a number needs no entry in the user database."""
    if user is None:
        return None, None, "", ""
    import pwd  # Few servers need it.

    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        if not user.isdecimal():
            right = "name a user of this machine, or give its number"
            raise OperatorError(f"there is no user {user!r}", where="--user", right=right) from None
        try:
            entry = pwd.getpwuid(int(user))
        except (KeyError, OverflowError):
            return _number(user, "--user"), None, "", ""
    return entry.pw_uid, entry.pw_gid, entry.pw_name, entry.pw_dir


def _look_up_group(group: str) -> int:
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdecimal():
            return _number(group, "--group")
        right = "name a group of this machine, or give its number"
        raise OperatorError(f"there is no group {group!r}", where="--group", right=right) from None


def _number(digits: str, option: str) -> int:
    # The largest one means "leave as it is" to setresuid(2).
    if int(digits) >= 2**32 - 1:
        raise OperatorError(
            f"{digits} is no number of a user or group", where=option, right="write one below 2**32 - 1"
        )
    return int(digits)


def _directory(path: str) -> str:
    if not os.path.isdir(path):
        raise OperatorError(f"there is no directory {path}", where="--chroot", right="name one that exists")
    return os.path.realpath(path)


def _require_means(uid: int | None, gid: int | None, root: str | None) -> None:
    """Says at the start what would fail in each child. Root in a container may lack what root has elsewhere."""
    held = _capabilities()
    needs = (
        (uid is not None, "--user", CAP_SETUID, "run as another user"),
        (gid is not None, "--group" if uid is None else "--user", CAP_SETGID, "run as another group"),
        (root is not None, "--chroot", CAP_SYS_CHROOT, "change the root directory"),
    )
    for wanted, option, capability, what in needs:
        if wanted and not held >> capability & 1:
            right = f"start the server as root, or without {option}"
            if _is_root():
                right = "give this container the capabilities SETUID, SETGID and SYS_CHROOT"
            raise OperatorError(f"not permitted to {what}", where=option, right=right)


def _is_root() -> bool:
    return os.geteuid() == 0


def _capabilities() -> int:
    """The effective capabilities of this process as bits."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:
        for line in file:
            if line.startswith(b"CapEff:"):
                return int(line.split()[1], 16)
    return -1 if _is_root() else 0


def drop_privileges(plan: Privileges) -> None:
    """Becomes who the plan says. Raises OSError. Undoes what end_with_parent() asked for: `settle_as` asks again."""
    if plan.gid is not None:
        os.setgroups(plan.groups)
    if plan.root is not None:
        os.chroot(plan.root)
        os.chdir("/")
    if plan.gid is not None:
        os.setresgid(plan.gid, plan.gid, plan.gid)
    if plan.uid is not None:
        os.setresuid(plan.uid, plan.uid, plan.uid)
        _name_the_user(plan)
    stay_dumpable()


def become(config: Config) -> Config:
    """Before any application code, once in a process: it becomes who it is to be, and is held to its bounds.

    Returns the configuration with the paths as they are from there. Raises OperatorError when that fails, or when the
    process could not do its work as that user.
    """
    bound(config.process)
    plan = plan_privileges(config.process)
    if plan is None:
        return config
    try:
        drop_privileges(plan)
    except OSError as error:
        raise OperatorError(f"cannot become the user ({error.strerror})", where="--user, --group, --chroot") from error
    return _require_temp_dir(inside(config, plan))


def settle_as(config: Config, grace_s: float) -> Config:
    """become() for a child that has asked to end with its parent: the change of user undoes it, so it asks again."""
    if plan_privileges(config.process) is None:
        return become(config)
    parent = os.getppid()
    config = become(config)
    end_with_parent(grace_s)
    if os.getppid() != parent:
        # It died when nothing was asked for; had it died before, the signal would have come.
        os._exit(EXIT_BROKEN)
    return config


def require_readable(config: Config) -> None:
    """Raises OperatorError when this process, as the user it has become, cannot import what an application will.

    What is imported by then stays: a Python in root's home directory serves until the first import, which then finds
    no module, not even of the standard library. Another root directory has what whoever made it put there.
    """
    if config.process.user is None or config.process.chroot is not None:
        return
    for what, file in (("Python's library", os.__file__), ("Drawbar", drawbar.__file__)):
        directory = os.path.dirname(file)
        if not (os.access(directory, os.R_OK | os.X_OK) and os.access(file, os.R_OK)):
            raise OperatorError(
                f"user {config.process.user} cannot read {what} in {directory}",
                where=config.place("user", "--user"),
                right="install it where that user can, such as below /usr/local or /opt",
            )


def _name_the_user(plan: Privileges) -> None:
    """The variables by which programs find a user's name and files: those of root would lead them astray."""
    for variable, value in (("USER", plan.name), ("LOGNAME", plan.name), ("HOME", plan.home)):
        if value:
            os.environ[variable] = value
        else:
            os.environ.pop(variable, None)


def _require_temp_dir(config: Config) -> Config:
    """The same configuration, when this process can write to the directory of large bodies. Raises OperatorError."""
    directory = config.server.temp_dir
    if directory is not None and not os.access(directory, os.W_OK | os.X_OK):
        right = "name a directory that the user of --user can write to"
        raise OperatorError(f"the workers cannot write to {directory}", where="--temp-dir", right=right)
    return config


# Paths.


def hand_over_logs(config: Config) -> None:
    """As root: makes the log files that are missing, and gives them to the workers' user, who will open them by name.

    Users that applications have of their own may write to them, too. Before the workers start, and before they are told
    to reopen them after a rotation. What cannot be given away is left: the worker that cannot open it says so.

    A file is given away only if it is a plain one with no other name, and not through a symbolic link: whoever owns
    the directory could lead root's hand to any file.
    """
    plan = plan_privileges(config.process) or Privileges()
    own = [found.uid for found in plans_of_apps(config).values() if found is not None and found.uid is not None]
    if plan.uid is None and not own:
        return
    for path in (config.log.error, config.log.access):
        if path not in (OFF, STANDARD):
            with contextlib.suppress(OSError):
                # The access log is the front's, where applications have users of their own.
                _give(path, plan, own if path == config.log.error else [])


def _give(path: str, to: Privileges, others: list[int]) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o640)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            return
        if to.uid is not None and found.st_uid != to.uid:
            os.fchown(descriptor, to.uid, -1 if to.gid is None else to.gid)
        let_write(descriptor, others)
    finally:
        os.close(descriptor)


def require_inside(config: Config) -> None:
    """Raises OperatorError for a path that the workers could not reach from their root directory."""
    plan = plan_privileges(config.process)
    if plan is None or plan.root is None:
        return
    paths = (
        ("--error-log", config.log.error),
        ("--access-log", config.log.access),
        ("--temp-dir", config.server.temp_dir),
    )
    for option, path in paths:
        if path not in (OFF, STANDARD, None) and _from_root(path or "", plan.root) is None:
            right = "name a path below it"
            raise OperatorError(f"{path} is outside of --chroot {plan.root}", where=option, right=right)


def inside(config: Config, plan: Privileges) -> Config:
    """The configuration with its paths as the children see them from their root directory."""
    if plan.root is None:
        return config
    import msgspec

    def seen(path: str) -> str:
        return path if path in (OFF, STANDARD) else _from_root(path, plan.root or "/") or path

    replace = msgspec.structs.replace
    log = replace(config.log, error=seen(config.log.error), access=seen(config.log.access))
    server = config.server
    if server.temp_dir is not None:
        server = replace(server, temp_dir=seen(server.temp_dir))
    return replace(config, log=log, server=server)


def _from_root(path: str, root: str) -> str | None:
    """What `path` is called where `root` is "/"; None when it is not below it."""
    directory, name = os.path.split(os.path.abspath(path))
    below = os.path.relpath(os.path.join(os.path.realpath(directory), name), root)
    return None if below.split(os.sep, 1)[0] == OUTSIDE else os.path.normpath(f"/{below}")
