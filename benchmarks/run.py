"""Measures: `python benchmarks/run.py [--cases ...] [--servers ...] [--quick]`; with --write it keeps the results.

Cases run one after another; within a case the servers take turns, round after round, each started anew, so that
whatever drifts on the machine drifts for all. Servers run on one processor; wrk, slow clients and this program on
another.
"""

import argparse
import datetime
import http.client
import importlib.metadata
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

# Run as a file, Python's path begins with this directory; its modules are those of the package around it.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import cases, report, servers  # noqa: E402 - the path above comes first
from benchmarks.cases import Case  # noqa: E402
from benchmarks.measure import MeasurementFailed  # noqa: E402
from benchmarks.process import running  # noqa: E402
from benchmarks.report import CaseResult, Results, ServerResult  # noqa: E402
from benchmarks.servers import Server  # noqa: E402
from benchmarks.trials import Settings  # noqa: E402

HERE = Path(__file__).resolve().parent
RESULTS_MD = HERE / "RESULTS.md"
README = HERE.parent / "README.md"
RESULTS_JSON = HERE / "RESULTS.json"
# Ten thousand idle connections, on either side, and room for everything else.
OPEN_FILES = 20_000
TOOLS = {"nginx": "nginx-light", "wrk": "wrk", "taskset": "util-linux", "ip": "iproute2"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What this run does."""

    cases: list[Case]
    servers: list[str]
    rounds: int | None
    settings: Settings
    write: bool
    server_cpu: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 when Drawbar could not be measured. Peers' failures stand in the report."""
    # A termination unwinds like Ctrl-C: every server is ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = prepare(arguments)
    results = Results(platform.python_version(), machine(), versions(plan), {})
    try:
        for case in plan.cases:
            results.cases[case.name] = measure_case(case, plan)
            print("\n" + report.render_case(case, results.cases[case.name]), flush=True)
            if plan.write:
                # After each case: an interrupted run keeps what it has.
                write(results)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    judged = [verdict for verdict in report.verdicts(results) if verdict.measured is not None]
    if judged:
        print(report.render_targets(judged))
    return int(any(has_failed(result) for result in results.cases.values()))


def prepare(arguments: Sequence[str] | None) -> Plan:
    """Read the command line, look for the tools, and take this process's place on the machine."""
    options = parser().parse_args(arguments)
    if options.write and (options.quick or options.servers):
        refuse("--write keeps whole cases only: leave out --quick and --servers")
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool, path=search_path()) is None]
    if missing:
        refuse(f"missing programs; install them with: apt-get install {' '.join(missing)}")
    os.environ["PATH"] = search_path()
    try:
        chosen = cases.chosen(options.cases)
        servers.chosen((), options.servers)
    except KeyError as unknown:
        known = ", ".join([*(case.name for case in cases.CASES), *servers.BY_NAME])
        refuse(f"unknown: {unknown.args[0]}; known are {known}")
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        refuse("two processors are needed: one for the server, one for its clients")
    os.sched_setaffinity(0, {processors[1]})
    raise_open_files()
    settings = Settings(options.seconds or (1 if options.quick else 3), options.quick)
    return Plan(
        chosen,
        options.servers,
        options.rounds or (3 if options.quick else None),
        settings,
        options.write,
        processors[0],
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="benchmarks/run.py", description="Measure Drawbar beside other servers.")
    names = ", ".join(case.name for case in cases.CASES)
    found.add_argument("--cases", type=listed, default=[], metavar="A,B", help=f"of {names}; default all")
    found.add_argument(
        "--servers", type=listed, default=[], metavar="A,B", help=f"names or families of {', '.join(servers.BY_NAME)}"
    )
    found.add_argument(
        "--rounds", type=positive, help="rounds of each case (default: as many as the case needs; quick 3)"
    )
    found.add_argument("--seconds", type=positive, help="seconds of each load (default 3; quick 1)")
    found.add_argument("--quick", action="store_true", help="short loads, a fifth of the idle and slow clients")
    found.add_argument("--write", action="store_true", help="keep the results in RESULTS.md and RESULTS.json")
    return found


def listed(text: str) -> list[str]:
    """`a,b` or `a b` as a list."""
    return text.replace(",", " ").split()


def positive(text: str) -> int:
    """A whole number above zero."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return value


def refuse(message: str) -> NoReturn:
    """Say in one line why nothing is measured, and leave."""
    print(f"benchmarks: {message}", file=sys.stderr)
    raise SystemExit(2)


def search_path() -> str:
    """Where programs are looked for: Debian keeps nginx where only root's path leads."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin"


def raise_open_files() -> None:
    """Allow enough open files, here and in the servers, which inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= OPEN_FILES:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, max(hard, OPEN_FILES)))
    except (ValueError, PermissionError):
        refuse(f"{OPEN_FILES} open files are needed and {hard} allowed: raise the limit (ulimit -n)")


def measure_case(case: Case, plan: Plan) -> CaseResult:
    """All rounds of one case. A server that fails once is left out of the rounds to come."""
    rounds = plan.rounds or case.rounds
    chosen = servers.chosen(case.servers, plan.servers)
    samples: dict[str, ServerResult] = {server.name: ServerResult() for server in chosen}
    for _ in range(rounds):
        for server in chosen:
            if samples[server.name].error is None:
                samples[server.name] = measured_once_more(samples[server.name], case, server, plan)
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return CaseResult(date, rounds, plan.settings.seconds, samples)


def has_failed(result: CaseResult) -> bool:
    """Whether Drawbar could not be measured in a case."""
    return any(found.error for name, found in result.servers.items() if servers.BY_NAME[name].family == "drawbar")


def measured_once_more(so_far: ServerResult, case: Case, server: Server, plan: Plan) -> ServerResult:
    """One round of one server."""
    try:
        with running(server, case.app, plan.server_cpu) as up:
            sample = case.trial(up, plan.settings)
    except (MeasurementFailed, OSError, http.client.HTTPException) as error:
        message = str(error) or type(error).__name__
        print(f"{case.name}: {server.name}: failed: {message}", file=sys.stderr, flush=True)
        return ServerResult(so_far.samples, message)
    print(report.progress(case, server.name, sample), file=sys.stderr, flush=True)
    return ServerResult([*so_far.samples, sample])


def write(results: Results) -> None:
    """Put the results beside those of other versions of Python, and render them all, in short in README.md."""
    runs = report.from_json(RESULTS_JSON.read_text()) if RESULTS_JSON.exists() else {}
    runs[results.series] = results.merged_into(runs.get(results.series))
    RESULTS_JSON.write_text(report.to_json(runs.values()))
    RESULTS_MD.write_text(report.render(list(runs.values())))
    README.write_text(report.between_marks(README.read_text(), report.highlights(list(runs.values()))))


def machine() -> dict[str, str]:
    """What the figures belong to."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name")), "?")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "memory": f"{memory_gb:.0f} GB",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}",
    }


def versions(plan: Plan) -> dict[str, str]:
    """Version of every server measured and of wrk."""
    found = {"wrk": version_said_by("wrk", "-v")}
    for case in plan.cases:
        for server in servers.chosen(case.servers, plan.servers):
            found[server.family] = version(server.family)
    return found


def version(family: str) -> str:
    """A server's version, as it says itself or as it was installed."""
    if family in (servers.NGINX, servers.LIGHTTPD):
        return version_said_by(family, "-v")
    try:
        return importlib.metadata.version(family)
    except importlib.metadata.PackageNotFoundError:
        return "not installed" if family != "drawbar" else "of this checkout"


def version_said_by(*command: str) -> str:
    """The first word of a program's version line that begins with a number, or follows a slash."""
    if shutil.which(command[0]) is None:
        return "not installed"
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    words = (said.stderr + said.stdout).replace("/", " ").split()
    return next((word for word in words if word[:1].isdigit()), "?")


if __name__ == "__main__":
    raise SystemExit(main())
