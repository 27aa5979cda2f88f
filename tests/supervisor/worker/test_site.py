"""The configuration as the lower floors want it."""

import gc
import os
import socket
import subprocess
from pathlib import Path

import pytest

from drawbar.config import Config, LogConfig, ProxyConfig, parse_network
from drawbar.exchange.access_log import AccessLog
from drawbar.gateways.target import LoadedApp
from drawbar.supervisor.logs import Log
from drawbar.supervisor.worker.site import Site, log_files, make_policy, make_proxies, server_name


def test_without_listed_proxies_nobody_is_believed() -> None:
    assert make_proxies(Config()) is None


def test_listed_proxies_are_believed_in_the_listed_fields() -> None:
    trusted = (parse_network("10.0.0.0/8"), parse_network("unix"))
    proxies = make_proxies(Config(proxy=ProxyConfig(trusted=trusted, headers=("x-forwarded-for",))))
    assert proxies is not None
    assert [proxies.trusts(host) for host in ("10.1.2.3", "11.0.0.1", None)] == [True, False, True]
    assert proxies.fields == {"x-forwarded-for"}


def test_the_name_of_a_server_is_its_sockets(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert server_name(listener) == listener.getsockname()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert server_name(listener) == (str(tmp_path / "s"), None)


class Logs:
    """A site's two logs and its policy, with the files that a rotation leaves."""

    def __init__(self, folder: Path, *, access: str = "access.log", error: str = "error.log") -> None:
        self.folder = folder
        self.config = Config(log=LogConfig(access=str(folder / access), error=str(folder / error), level="info"))
        log = Log.from_config(self.config.log)
        access_log = AccessLog(self.config.log.access, "combined", log.error)
        app = LoadedApp(None, "wsgi", "none")
        self.site = Site(self.config, app, (), make_policy(self.config, log, access_log), log, access_log)

    def rotate(self) -> None:
        """Renames both, as logrotate does."""
        for name in ("access.log", "error.log"):
            (self.folder / name).rename(self.folder / f"{name}.1")

    def lines(self, name: str) -> list[str]:
        """What a file has, without the stamps."""
        return [line.split("] ", 1)[1] for line in (self.folder / name).read_text().splitlines()]


def test_requests_that_began_before_the_logs_were_reopened_keep_their_files(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    before = logs.site.policy.log_files
    logs.rotate()
    logs.site.reopen_logs()
    after = logs.site.policy.log_files
    assert before is not None
    assert after is not None
    for files, message in ((before, "old"), (after, "new"), (None, "nobody's")):
        logs.site.log.write("info", message, files)
    assert logs.lines("error.log.1") == ["info: old"]
    assert logs.lines("error.log") == ["info: new", "info: nobody's"]
    assert before.access is not after.access


def test_standard_streams_have_no_files_to_take_along() -> None:
    log = Log()
    assert log_files(log, None) is None
    assert log_files(log, AccessLog("-", "combined", log.error)) is None


def test_a_log_that_cannot_be_reopened_says_so_in_a_line_each(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    logs = Logs(folder)
    folder.rename(tmp_path / "moved")
    logs.site.reopen_logs()
    logs.folder = tmp_path / "moved"
    why = "No such file or directory; the old file is kept"
    assert logs.lines("error.log") == [
        f"error: cannot reopen {folder}/error.log: {why}",
        f"error: cannot reopen {folder}/access.log: {why}",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a file system")
def test_a_full_disk_keeps_the_old_files_and_serving(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    # Few inodes: no file can be made any more, as on a disk without room for one.
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=3", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        logs = Logs(folder)
        logs.rotate()
        logs.site.reopen_logs()
        assert logs.lines("error.log.1") == [
            f"error: cannot reopen {folder}/error.log: No space left on device; the old file is kept",
            f"error: cannot reopen {folder}/access.log: No space left on device; the old file is kept",
        ]
        (folder / "access.log.1").unlink()
        os.truncate(folder / "error.log.1", 64 * 1024)
        with (folder / "error.log.1").open("r+b") as filler:
            filler.write(b"x" * 64 * 1024)
        logs.site.log.error("there is no room for this, and nothing happens")
        del logs
    finally:
        # Nobody has the file any more.
        Log.from_config(LogConfig())
        gc.collect()
        subprocess.run(["umount", str(folder)], check=True)
