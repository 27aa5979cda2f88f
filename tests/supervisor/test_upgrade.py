"""What passes from one master to the next, and where process 1 stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.supervisor.harness import PATIENCE_S, Lines, Serving
from tests.supervisor.test_orders_by_signal import successor


def test_a_hook_of_the_application_does_not_move_the_new_master(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "leaving.py").write_text("def note(upgrade):\n    open('noted', 'x').close()\n")
    with Serving("serve", cwd=tmp_path, app={"chdir": "site"}, hooks={"before_exec": "leaving:note"}) as serving:
        serving.logged("serving")
        serving.signal(signal.SIGUSR2)
        pid = successor(serving)
        serving.logged(f"serving .* \\(pid {pid}\\)")
        assert (site / "noted").exists()
        assert Path(f"/proc/{pid}/cwd").readlink() == tmp_path
        assert serving.wait() == 0
        os.kill(pid, signal.SIGTERM)
        serving.logged("stopped by SIGTERM")


def test_process_1_stands_by_one_master_after_the_other() -> None:
    reader, writer = os.pipe()
    program = str(Path(__file__).with_name("standing_by.py"))
    first = subprocess.Popen([sys.executable, program, str(writer)], pass_fds=[writer])
    os.close(writer)
    told = Lines(reader)
    try:
        told.until(lambda line: line.startswith("serves"))
        first.send_signal(signal.SIGHUP)
        told.until(lambda line: line == "heard SIGHUP")
        first.send_signal(signal.SIGTERM)
        assert first.wait(PATIENCE_S) == 7
    finally:
        first.kill()
        first.wait()
    os.close(reader)
