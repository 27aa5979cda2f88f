"""What a worker does before it serves."""

import resource
import subprocess
import sys

import pytest


def limits_after(soft: int, hard: int, connections: int) -> tuple[int, int]:
    """The limits of open files a process ends up with: in one of its own, since a hard limit never rises again."""
    code = (
        "import resource; from drawbar.supervisor.worker.life import raise_open_files;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
        f"raise_open_files({connections}); print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    now_soft, now_hard = out.split()
    return int(now_soft), int(now_hard)


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "expected"),
    [
        (256, 8_000, 100, (4_196, 8_000)),
        (256, 1_000, 50_000, (1_000, 1_000)),
        (6_000, 8_000, 100, (6_000, 8_000)),
    ],
)
def test_open_files_are_raised_as_far_as_needed_and_allowed(
    soft: int, hard: int, connections: int, expected: tuple[int, int]
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("the hard limit of this machine is below the test's")
    assert limits_after(soft, hard, connections) == expected
