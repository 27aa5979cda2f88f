"""Results as data, as JSON and as the Markdown of RESULTS.md. Pure: text in, text out; it measures nothing.

A result keeps every sample; medians, spreads, ratios and verdicts are worked out when they are shown. An infinite
figure ("not in time") is null in JSON.
"""

import json
import math
import operator
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import cases
from benchmarks.cases import Case, Highlight, Metric, Target
from benchmarks.servers import NGINX
from benchmarks.trials import Sample

BEGIN_MARK = "<!-- figures:begin"
END_MARK = "<!-- figures:end -->"
HOLDS = {"<=": operator.le, "<": operator.lt, ">=": operator.ge}


@dataclass(frozen=True, slots=True)
class ServerResult:
    """One server in one case: a sample for each round, or what went wrong."""

    samples: list[Sample] = field(default_factory=list)
    error: str | None = None

    def median(self, metric: str) -> float:
        """The middle of all rounds. Raises statistics.StatisticsError when there was none."""
        return statistics.median(sample[metric] for sample in self.samples)

    def spread(self, metric: str) -> float:
        """How far the rounds lie apart: (highest - lowest) / median."""
        values = [sample[metric] for sample in self.samples]
        apart = max(values) - min(values)
        return apart / statistics.median(values) if apart else 0.0


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: how it was run, and each server's part."""

    date: str
    rounds: int
    seconds: int
    servers: dict[str, ServerResult]

    def median(self, server: str, metric: str) -> float | None:
        """A server's median, or None when it was not measured."""
        found = self.servers.get(server)
        return found.median(metric) if found is not None and found.samples else None

    def ratio(self, server: str, others: Sequence[str], metric: str) -> float | None:
        """A server's figure by the least of `others`: the median of the rounds' ratios, or None when not measured.

        Servers of one round ran within seconds of each other, so what drifts on the machine is in both and falls out.
        """
        return self._compared(server, others, metric, operator.truediv)

    def difference(self, server: str, others: Sequence[str], metric: str) -> float | None:
        """What a server's figure is more than the least of `others`: as ratio() has it."""
        return self._compared(server, others, metric, operator.sub)

    def _compared(
        self, server: str, others: Sequence[str], metric: str, compare: Callable[[float, float], float]
    ) -> float | None:
        ours = self.servers.get(server)
        if ours is None or not ours.samples:
            return None
        theirs = [found.samples for name in others if (found := self.servers.get(name)) is not None and found.samples]
        # One that failed in some round has fewer of them, and nobody knows which were whose.
        theirs = [samples for samples in theirs if len(samples) == len(ours.samples)]
        if not theirs:
            return None
        least = [min(sample[metric] for sample in round_) for round_ in zip(*theirs, strict=True)]
        rounds = [compare(sample[metric], other) for sample, other in zip(ours.samples, least, strict=True)]
        return float(statistics.median(rounds))


@dataclass(frozen=True, slots=True)
class Results:
    """All cases measured with one version of Python on one machine."""

    python: str
    machine: dict[str, str]
    versions: dict[str, str]
    cases: dict[str, CaseResult]

    @property
    def series(self) -> str:
        """`3.11` of `3.11.2`."""
        return ".".join(self.python.split(".")[:2])

    def merged_into(self, older: "Results | None") -> "Results":
        """These cases, and those of an older run on the same machine that were not run again."""
        if older is None or older.machine != self.machine:
            return self
        return Results(self.python, self.machine, older.versions | self.versions, older.cases | self.cases)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured; None where it was not."""

    target: Target
    measured: float | None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached."""
        return None if self.measured is None else HOLDS[self.target.relation](self.measured, self.target.bound)


def judge(target: Target, result: CaseResult | None) -> Verdict:
    """Hold one target against its case's result."""
    if result is None:
        return Verdict(target, None)
    if target.others:
        compare = result.difference if target.more else result.ratio
        return Verdict(target, compare(target.server, target.others, target.metric))
    return Verdict(target, result.median(target.server, target.metric))


def to_json(runs: Iterable[Results]) -> str:
    """The stored form, keyed by Python series."""
    return json.dumps(finite({run.series: asdict(run) for run in runs}), indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> dict[str, Results]:
    """Read the stored form back."""
    return {series: results_from(stored) for series, stored in json.loads(text).items()}


def results_from(stored: dict[str, Any]) -> Results:
    """One run out of its stored form."""
    found = {}
    for name, case in stored["cases"].items():
        servers = {
            server: ServerResult([restored(sample) for sample in kept["samples"]], kept["error"])
            for server, kept in case["servers"].items()
        }
        found[name] = CaseResult(case["date"], case["rounds"], case["seconds"], servers)
    return Results(stored["python"], stored["machine"], stored["versions"], found)


def restored(sample: dict[str, float | None]) -> Sample:
    """A sample with its infinities back."""
    return {metric: math.inf if value is None else value for metric, value in sample.items()}


def finite(value: Any) -> Any:
    """The same structure with null for what is not a finite number."""
    match value:
        case dict():
            return {key: finite(item) for key, item in value.items()}
        case list():
            return [finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
    return value


def render(runs: Sequence[Results]) -> str:
    """RESULTS.md: one chapter for each version of Python."""
    opening = (
        "# Benchmark results\n\n"
        "Written by `make bench`; method and reading: [docs/benchmarks.md](../docs/benchmarks.md). "
        "Figures are medians over the rounds, ratios medians of the rounds' ratios; compare them within one table "
        "only. CPU is user and system time of all of a server's processes per answered request.\n"
    )
    return "\n".join([opening, *(render_run(run) for run in sorted(runs, key=version_key))])


def highlights(runs: Sequence[Results]) -> str:
    """The lines for README.md: the best of RESULTS.md in one table for each version of Python."""
    blocks = []
    for run in sorted(runs, key=version_key):
        rows = [
            row for highlight in cases.HIGHLIGHTS if (row := highlight_row(highlight, run.cases.get(highlight.case)))
        ]
        if rows:
            blocks.append(f"Python {run.python}; {run.machine['processor']}:\n")
            blocks.append(table(["", "Drawbar", "nginx", "best Python peer"], rows))
    blocks.append("More, and how it was measured: [benchmarks/RESULTS.md](benchmarks/RESULTS.md).\n")
    return "\n".join(blocks)


def highlight_row(highlight: Highlight, result: CaseResult | None) -> list[str] | None:
    """One line, or None when Drawbar was not measured."""
    if result is None:
        return None
    metric = highlight.metric
    ours = result.median(highlight.server, metric.key)
    if ours is None:
        return None
    nginx = result.median(NGINX, metric.key)
    peers = [(value, name) for name in highlight.peers if (value := result.median(name, metric.key)) is not None]
    best = "-" if not peers else f"{shown(min(peers)[0], metric.digits)} ({min(peers)[1]})"
    return [
        highlight.text,
        shown(ours, metric.digits),
        "-" if nginx is None else shown(nginx, metric.digits),
        best,
    ]


def between_marks(text: str, inserted: str) -> str:
    """README.md with `inserted` between its two marks. Raises ValueError when it has none."""
    head, begin, rest = text.partition(BEGIN_MARK)
    mark_end, arrow, rest = rest.partition("-->\n")
    _, end, tail = rest.partition(END_MARK)
    if not (begin and arrow and end):
        raise ValueError(f"{BEGIN_MARK} ... --> and {END_MARK} are not both there")
    return head + begin + mark_end + arrow + inserted + end + tail


def version_key(run: Results) -> tuple[int, ...]:
    """Sorts 3.9 before 3.11."""
    return tuple(int(part) for part in run.series.split("."))


def render_run(run: Results) -> str:
    """One chapter: what it was measured on and with, the targets, the tables."""
    facts = [f"{name}: {value}" for name, value in run.machine.items()]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))
    blocks = [
        f"## Python {run.python}\n",
        "\n".join(f"- {fact}" for fact in [*facts, f"versions: {versions}"]) + "\n",
        "### Must reach\n",
        render_targets(verdicts(run)),
    ]
    for case in cases.CASES:
        if case.name in run.cases:
            blocks.append(render_case(case, run.cases[case.name]))
    return "\n".join(blocks)


def verdicts(run: Results) -> list[Verdict]:
    """Every target, held against the run."""
    major, minor = map(int, run.series.split("."))
    return [judge(target, run.cases.get(target.case)) for target in cases.targets((major, minor))]


def render_targets(found: Iterable[Verdict]) -> str:
    """The table of what must be reached."""
    rows = []
    for verdict in found:
        target = verdict.target
        measured = "not measured" if verdict.measured is None else shown(verdict.measured, 2)
        met = {True: "yes", False: "**no**", None: "-"}[verdict.met]
        bound = f"{target.relation} {target.bound:g} {target.unit}"
        rows.append([target.text, target.case, target.server, bound, measured, met])
    return table(["what", "case", "server", "target", "measured", "met"], rows)


def render_case(case: Case, result: CaseResult) -> str:
    """One case's table, the cheapest server of its first metric first where that is what it ranks."""
    titles = ["server", *headings(case)]
    measured = [name for name in case.servers if name in result.servers and result.servers[name].samples]
    if case.reference is not None:
        measured.sort(key=lambda name: result.servers[name].median(case.metrics[0].key))
    rows = [[name, *figures(case, result, name)] for name in measured]
    lines = [
        f"### {case.name}: {case.title}\n",
        f"{result.date}, {result.rounds} rounds of {result.seconds} s\n",
    ]
    if rows:
        lines.append(table(titles, rows))
    lines += [f"- {name} failed: {found.error}\n" for name, found in result.servers.items() if found.error]
    return "\n".join(lines)


def headings(case: Case) -> list[str]:
    """Column titles after the server's name."""
    first, *rest = (metric.title for metric in case.metrics)
    ratio = [] if case.reference is None else [f"x {case.reference}"]
    return [first, *ratio, "spread", *rest]


def figures(case: Case, result: CaseResult, server: str) -> list[str]:
    """One row after the server's name."""
    found = result.servers[server]
    first, *rest = case.metrics
    cells = [cell(found, first)]
    if case.reference is not None:
        ratio = result.ratio(server, (case.reference,), first.key)
        cells.append("-" if ratio is None else f"{ratio:.2f}")
    spread = found.spread(first.key)
    cells.append(f"{100 * spread:.0f} %" if math.isfinite(spread) else "-")
    return cells + [cell(found, metric) for metric in rest]


def cell(found: ServerResult, metric: Metric) -> str:
    """One figure."""
    return shown(found.median(metric.key), metric.digits)


def shown(value: float, digits: int) -> str:
    """A number for people; what never came is said in words."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "not in time"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, aligned in its source, figures to the right."""
    columns = list(zip(titles, *rows, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    right = [index > 0 and titles[0] == "server" for index in range(len(titles))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(cells, widths, right, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * (width - 1) + (":" if to_right else "-") for width, to_right in zip(widths, right, strict=True)]
    return "\n".join([line(titles), line(rule), *map(line, rows)]) + "\n"


def progress(case: Case, server: str, sample: Sample) -> str:
    """One round of one server in a line for whoever watches."""
    values = ", ".join(f"{metric.title} {shown(sample[metric.key], metric.digits)}" for metric in case.metrics)
    return f"{case.name}: {server}: {values}"
