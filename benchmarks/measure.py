"""What is read from outside: `/proc` for a server's processes, wrk for its answers.

Parsers take text and are pure; the readers below them fetch that text. Nothing here starts or stops a server.
A server's processes are those of its session: workers that make their own process group stay in it.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LUA = Path(__file__).resolve().parent / "lua"
MARKER = "drawbar-bench "
CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
WRK_GRACE_S = 15


class MeasurementFailed(Exception):
    """A server did not do what was to be measured; the message says what it did instead."""


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """The fields of `/proc/PID/stat` that cost accounting needs."""

    pid: int
    parent: int
    session: int
    cpu_ticks: int
    """utime + stime, and those of children that were waited for (cutime + cstime)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory: in proportion for pages shared with other processes (PSS), and private only (USS)."""

    pss_bytes: int
    uss_bytes: int

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss_bytes + other.pss_bytes, self.uss_bytes + other.uss_bytes)


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw."""

    requests: int
    """Answered before the end."""
    sent: int
    duration_s: float
    p50_ms: float
    p99_ms: float
    status_errors: int
    timeouts: int
    socket_errors: int

    @property
    def per_second(self) -> float:
        """Answered requests per second."""
        return self.requests / self.duration_s


def parse_stat(text: str) -> ProcessStat:
    """Read `/proc/PID/stat` (proc_pid_stat(5)); the name in it may hold spaces and parentheses."""
    pid, _, rest = text.partition(" (")
    fields = rest.rpartition(")")[2].split()
    return ProcessStat(
        pid=int(pid), parent=int(fields[1]), session=int(fields[3]), cpu_ticks=sum(map(int, fields[11:15]))
    )


def parse_smaps_rollup(text: str) -> Memory:
    """Read `/proc/PID/smaps_rollup` (proc_pid_smaps(5)), whose figures are in KiB."""
    kib = {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)}
    return Memory(kib["Pss"] * 1024, (kib["Private_Clean"] + kib["Private_Dirty"]) * 1024)


def parse_wrk(text: str) -> Load:
    """Find and read the line that `lua/report.lua` prints.

    Raises MeasurementFailed with wrk's own words when the line is missing.
    """
    for line in text.splitlines():
        if line.startswith(MARKER):
            found: dict[str, int] = json.loads(line.removeprefix(MARKER))
            return Load(
                requests=found["requests"],
                sent=found["sent"],
                duration_s=found["duration_us"] / 1e6,
                p50_ms=found["p50_us"] / 1e3,
                p99_ms=found["p99_us"] / 1e3,
                status_errors=found["status_errors"],
                timeouts=found["timeouts"],
                socket_errors=found["socket_errors"],
            )
    raise MeasurementFailed(f"wrk said: {text.strip() or 'nothing'}")


def session_processes(session: int, name: str | None = None) -> Iterator[ProcessStat]:
    """Every process of a session that runs now or is yet to be waited for, or each that is called `name`."""
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                stat = parse_stat(Path("/proc", pid, "stat").read_text())
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended between the listing and the reading
            if stat.session == session and (name is None or comm(stat.pid) == name):
                yield stat


def comm(pid: int) -> str:
    """What a process is called; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cpu_us(session: int) -> float:
    """Processor time all processes of the session have used, in µs (in steps of a clock tick, 10 ms)."""
    return sum(stat.cpu_ticks for stat in session_processes(session)) * 1e6 / CLOCK_TICKS_PER_S


def memory(session: int, name: str | None = None) -> Memory:
    """Memory of all processes of the session together, or of those that are called `name`."""
    total = Memory(0, 0)
    for stat in session_processes(session, name):
        try:
            total += parse_smaps_rollup(Path(f"/proc/{stat.pid}/smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile, or a zombie
    return total


def start_wrk(url: str, *, connections: int, seconds: int, script: str = "report") -> "subprocess.Popen[str]":
    """Start wrk with one thread on the processor this process is pinned to."""
    command: Sequence[str] = (
        "wrk",
        "--threads=1",
        f"--connections={connections}",
        f"--duration={seconds}s",
        "--timeout=5s",
        f"--script={LUA / script}.lua",
        url,
    )
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish_wrk(wrk: "subprocess.Popen[str]", seconds: int) -> Load:
    """Wait for a wrk and read it; it never outlives this call."""
    try:
        output, _ = wrk.communicate(timeout=seconds + WRK_GRACE_S)
    except subprocess.TimeoutExpired:
        raise MeasurementFailed(f"wrk did not end in {seconds + WRK_GRACE_S} s") from None
    finally:
        wrk.kill()
        wrk.wait()
    return parse_wrk(output)


def run_wrk(url: str, *, connections: int, seconds: int, script: str = "report") -> Load:
    """Load one URL; every answer must be a success and there must be some."""
    load = finish_wrk(start_wrk(url, connections=connections, seconds=seconds, script=script), seconds)
    if load.status_errors:
        raise MeasurementFailed(f"{load.status_errors} of {load.requests} answers were errors")
    if not load.requests:
        raise MeasurementFailed("no request was answered")
    # Those under way at the end are not many; a server that drops what is pipelined leaves fifteen of sixteen.
    if 2 * load.requests < load.sent:
        raise MeasurementFailed(f"only {load.requests} of {load.sent} requests were answered")
    return load
