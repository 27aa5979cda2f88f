"""Who workers become: planned in the master, done in real children. As root with the user nobody, as CI runs."""

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drawbar.config import Config, LogConfig, OperatorError, ProcessConfig, ServerConfig
from drawbar.config.app_table import AppTable
from drawbar.supervisor.host.file_access import ATTRIBUTE, USER, from_bytes
from drawbar.supervisor.host.privileges import (
    Privileges,
    hand_over_logs,
    inside,
    plan_privileges,
    plans_of_apps,
    require_inside,
)
from tests.supervisor.harness import PATIENCE_S, Lines, ends

PROGRAM = Path(__file__).with_name("privileged.py")
NOBODY = pwd.getpwnam("nobody")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


class Child:
    """Runs the program and hears what its child tells."""

    def __init__(self, **options: Any) -> None:
        events, writer = os.pipe()
        command = [sys.executable, str(PROGRAM), str(writer), json.dumps(options)]
        environ = {**os.environ, "USER": "root", "LOGNAME": "root", "HOME": "/root"}
        self.process = subprocess.Popen(command, pass_fds=(writer,), env=environ)
        os.close(writer)
        self._events = events
        self._lines = Lines(events)

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._events)

    def told(self) -> dict[str, Any]:
        """The next event."""
        facts: dict[str, Any] = json.loads(self._lines.until(lambda line: True))
        return facts


def run(**options: Any) -> dict[str, Any]:
    """What one child tells, and then ends well."""
    with Child(**options) as child:
        facts = child.told()
        child.process.wait(PATIENCE_S)
        return facts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory that everybody can get to."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.owner() == pwd.getpwuid(os.getuid()).pw_name and directory.stat().st_mode & 0o005 != 0o005:
            directory.chmod(directory.stat().st_mode | 0o055)
    return tmp_path


def test_nothing_asked_for_is_nothing_done() -> None:
    assert plan_privileges(ProcessConfig()) is None
    facts = run()
    assert facts["uids"] == list(os.getresuid())
    assert facts["user"]["HOME"] == "/root"


@as_root
def test_by_name_a_child_becomes_the_user_with_all_groups() -> None:
    facts = run(user="nobody")
    assert facts["uids"] == [NOBODY.pw_uid] * 3
    assert facts["gids"] == [NOBODY.pw_gid] * 3
    assert facts["groups"] == sorted(os.getgrouplist("nobody", NOBODY.pw_gid))
    assert facts["user"] == {"USER": "nobody", "LOGNAME": "nobody", "HOME": NOBODY.pw_dir}
    assert not facts["back"]
    assert facts["dumpable"]


@as_root
def test_by_number_with_and_without_an_entry() -> None:
    assert run(user=str(NOBODY.pw_uid))["user"]["USER"] == "nobody"
    facts = run(user="54321", group="12345")
    assert (facts["uids"], facts["gids"], facts["groups"]) == ([54321] * 3, [12345] * 3, [12345])
    assert facts["user"] == {"USER": None, "LOGNAME": None, "HOME": None}


@as_root
def test_a_group_of_its_own() -> None:
    facts = run(user="nobody", group="daemon")
    assert facts["gids"] == [1, 1, 1]
    assert 1 in facts["groups"]
    assert 0 not in facts["groups"]
    alone = run(group="daemon")
    assert (alone["uids"], alone["gids"], alone["groups"]) == ([0, 0, 0], [1, 1, 1], [1])
    assert alone["user"]["USER"] == "root"


@as_root
def test_the_child_ends_with_its_parent_though_it_changed_its_user() -> None:
    with Child(user="nobody", stays=True) as child:
        pidfd = os.pidfd_open(child.told()["pid"])
        child.process.kill()
        assert child.told() == {"stopped": True}
        assert ends(pidfd)


@as_root
def test_chroot_changes_root_and_directory_and_keeps_paths_true(home: Path) -> None:
    jail = home / "jail"
    (jail / "tmp").mkdir(parents=True)
    (jail / "tmp").chmod(0o777)
    (jail / "log").mkdir()
    facts = run(
        user="nobody",
        chroot=str(jail),
        log={"error": str(jail / "log" / "error"), "access": str(jail / "log" / "access")},
        server={"temp_dir": str(jail / "tmp")},
    )
    assert facts["cwd"] == "/"
    assert facts["root"] == ["log", "tmp"]
    assert facts["paths"] == ["/log/error", "/log/access", "/tmp"]
    assert facts["logs"] == {"error": True, "access": True}
    assert facts["uids"] == [NOBODY.pw_uid] * 3


@as_root
def test_log_files_are_the_users_whether_there_or_not(home: Path) -> None:
    there = home / "there.log"
    there.write_text("kept\n")
    there.chmod(0o600)
    log = {"error": str(there), "access": str(home / "missing.log")}
    assert run(user="nobody", log=log)["logs"] == {"error": True, "access": True}
    assert there.read_text() == "kept\n"
    for path in log.values():
        assert os.stat(path).st_uid == NOBODY.pw_uid
        assert os.stat(path).st_gid == NOBODY.pw_gid


@as_root
def test_nothing_is_given_away_behind_a_link(home: Path) -> None:
    precious = home / "precious"
    precious.write_text("root's\n")
    (home / "soft.log").symlink_to(precious)
    (home / "hard.log").hardlink_to(precious)
    os.mkfifo(home / "pipe.log")
    process = ProcessConfig(user="nobody")
    for name in ("soft.log", "hard.log", "pipe.log"):
        hand_over_logs(Config(log=LogConfig(error=str(home / name), access="off"), process=process))
        assert os.stat(home / name).st_uid == 0
    # A place that vanished is the workers' trouble, not the master's.
    hand_over_logs(Config(log=LogConfig(error=str(home / "gone" / "x.log")), process=process))


@as_root
def test_users_of_applications_may_write_to_the_same_logs(home: Path) -> None:
    log = LogConfig(error=str(home / "error.log"), access=str(home / "access.log"))
    apps = {"blog": AppTable(target="blog", user="4001", group="7"), "far": AppTable(user="4002", group="7")}
    hand_over_logs(Config(log=log, process=ProcessConfig(user="nobody"), apps=apps))
    assert os.stat(log.error).st_uid == NOBODY.pw_uid
    entries = from_bytes(os.getxattr(log.error, ATTRIBUTE))
    # It is the front that writes to the other one.
    assert ATTRIBUTE not in os.listxattr(log.access)
    # What nothing is started for writes no log.
    assert [entry.id for entry in entries if entry.tag == USER] == [4001]
    # After a rotation the new file is like the old one.
    os.unlink(log.error)
    hand_over_logs(Config(log=log, apps=apps))
    assert os.stat(log.error).st_uid == os.getuid()
    assert from_bytes(os.getxattr(log.error, ATTRIBUTE)) == entries


def test_an_applications_user_that_does_not_exist_is_told_with_its_table() -> None:
    apps = {"blog": AppTable(target="blog", user="no such")}
    with pytest.raises(OperatorError) as raised:
        plans_of_apps(Config(apps=apps))
    assert str(raised.value).startswith("apps.blog.user: there is no user 'no such'; name a user")


@as_root
def test_a_spill_directory_the_user_cannot_write_to_is_told(home: Path) -> None:
    (home / "spill").mkdir(mode=0o755)
    facts = run(user="nobody", server={"temp_dir": str(home / "spill")})
    assert facts == {
        "failed": f"--temp-dir: the workers cannot write to {home / 'spill'}; "
        "name a directory that the user of --user can write to"
    }


@pytest.mark.parametrize(
    ("process", "said"),
    [
        (ProcessConfig(user="no such"), "--user: there is no user 'no such'; name a user of this machine, or give"),
        (ProcessConfig(group="no such"), "--group: there is no group 'no such'; name a group of this machine"),
        (
            ProcessConfig(user="54321"),
            "--user: there is no user 54321, so its group is not known; give --group as well",
        ),
        (ProcessConfig(user="4294967295", group="1"), "--user: 4294967295 is no number of a user or group"),
        (ProcessConfig(user="9" * 30, group="1"), "is no number of a user or group"),
        (ProcessConfig(chroot="/no/such"), "--chroot: there is no directory /no/such; name one that exists"),
    ],
)
def test_mistakes_are_told_at_the_start(process: ProcessConfig, said: str) -> None:
    with pytest.raises(OperatorError) as raised:
        plan_privileges(process)
    assert said in str(raised.value)


def as_nobody(**options: Any) -> dict[str, Any]:
    """What a server that user nobody starts makes of it."""
    program = (
        # All before the change: the interpreter itself may lie where another user cannot read.
        "import grp, json, os, pwd, sys\n"
        "from drawbar.config import OperatorError, ProcessConfig\n"
        "from drawbar.supervisor.host.privileges import plan_privileges\n"
        "if os.geteuid() == 0:\n"
        "    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))\n"
        "try:\n"
        "    plan = plan_privileges(ProcessConfig(**json.loads(sys.argv[3])))\n"
        "    print(json.dumps({'plan': plan}))\n"
        "except OperatorError as error:\n"
        "    print(json.dumps({'refused': str(error)}))\n"
    )
    command = [sys.executable, "-c", program, str(NOBODY.pw_uid), str(NOBODY.pw_gid), json.dumps(options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


@as_root
def test_a_python_that_the_user_cannot_read_is_told(home: Path) -> None:
    (home / "lib").mkdir(mode=0o700)
    program = (
        # All before the change: the interpreter itself may lie where another user cannot read.
        "import os, sys\n"
        "import drawbar\n"
        "from drawbar.config import Config, OperatorError, ProcessConfig\n"
        "from drawbar.supervisor.host.privileges import require_readable\n"
        "def told(**process):\n"
        "    try:\n"
        "        require_readable(Config(process=ProcessConfig(**process)))\n"
        "    except OperatorError as error:\n"
        "        return error\n"
        "os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]))\n"
        "os.__file__ = drawbar.__file__ = '/bin/sh'\n"
        "print(told(user='nobody'))\n"
        "drawbar.__file__ = sys.argv[3] + '/drawbar/__init__.py'\n"
        "print(told(user='nobody'))\n"
        "os.__file__ = sys.argv[3] + '/os.py'\n"
        "print(told(user='nobody'))\n"
        "print(told(), told(user='nobody', chroot='/'))\n"
    )
    command = [sys.executable, "-c", program, str(NOBODY.pw_uid), str(NOBODY.pw_gid), str(home / "lib")]
    right = "install it where that user can, such as below /usr/local or /opt"
    assert subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines() == [
        "None",
        f"--user: user nobody cannot read Drawbar in {home}/lib/drawbar; {right}",
        f"--user: user nobody cannot read Python's library in {home}/lib; {right}",
        "None None",
    ]


def test_who_is_not_root_becomes_nobody_else() -> None:
    assert as_nobody(user="daemon") == {
        "refused": "--user: not permitted to run as another user; start the server as root, or without --user"
    }
    assert as_nobody(group="daemon")["refused"].startswith("--group: not permitted to run as another group")
    assert as_nobody(chroot="/")["refused"].startswith("--chroot: not permitted to change the root directory")


def test_who_is_already_that_user_has_nothing_to_do() -> None:
    own = pwd.getpwuid(os.getuid()).pw_name if os.geteuid() else "nobody"
    assert as_nobody(user=own) == {"plan": None}


@as_root
def test_root_without_its_capabilities_is_told_what_it_lacks() -> None:
    """As in a container that was started with none."""
    program = (
        "from drawbar.config import OperatorError, ProcessConfig\n"
        "from drawbar.supervisor.host.privileges import plan_privileges\n"
        "try:\n"
        "    plan_privileges(ProcessConfig(user='nobody'))\n"
        "except OperatorError as error:\n"
        "    print(error)\n"
    )
    command = ["setpriv", "--bounding-set", "-setuid,-setgid", sys.executable, "-c", program]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == (
        "--user: not permitted to run as another user; "
        "give this container the capabilities SETUID, SETGID and SYS_CHROOT\n"
    )


def test_paths_from_within(tmp_path: Path) -> None:
    jail = tmp_path / "jail"
    jail.mkdir()
    (tmp_path / "link").symlink_to(jail)
    plan = Privileges(root=str(jail))
    config = Config(
        server=ServerConfig(temp_dir=str(jail)),
        log=LogConfig(error=str(tmp_path / "link" / "error.log"), access="-"),
    )
    seen = inside(config, plan)
    assert (seen.log.error, seen.log.access, seen.server.temp_dir) == ("/error.log", "-", "/")
    assert inside(config, Privileges(uid=1)) == config


@as_root
@pytest.mark.parametrize(
    ("sections", "option"),
    [
        ({"log": LogConfig(error="/var/log/x.log")}, "--error-log"),
        ({"log": LogConfig(access="/srv/jailhouse/x.log")}, "--access-log"),
        ({"server": ServerConfig(temp_dir="/srv")}, "--temp-dir"),
    ],
)
def test_paths_that_cannot_be_reached_from_within(tmp_path: Path, sections: dict[str, Any], option: str) -> None:
    with pytest.raises(
        OperatorError, match=rf"^{option}: \S+ is outside of --chroot {tmp_path}; name a path below it$"
    ):
        require_inside(Config(process=ProcessConfig(chroot=str(tmp_path)), **sections))
    require_inside(Config(process=ProcessConfig(user="nobody"), **sections))
    require_inside(Config(**sections))
