"""What is measured and what must be reached: two tables, as data.

A case names its servers (servers.py), its trial (trials.py) and the figures it shows. A target compares one server's
median with a bound, or with other servers' medians of the same run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from benchmarks import probing, pulling, supervision, trials, upheaval
from benchmarks.servers import NGINX
from benchmarks.trials import Trial

Relation = Literal["<=", "<", ">="]
EAGER_TASKS_SINCE = (3, 12)


@dataclass(frozen=True, slots=True)
class Metric:
    """One column: a key of the trial's samples, and how it is shown."""

    key: str
    title: str
    digits: int


@dataclass(frozen=True, slots=True)
class Case:
    """One question, asked of several servers in turn."""

    name: str
    title: str
    servers: tuple[str, ...]
    metrics: tuple[Metric, ...]
    trial: Trial
    app: str = "hello"
    reference: str | None = None
    """The server whose first metric the others' is divided by."""
    rounds: int = 5
    """How many rounds are enough, when the run does not say how many."""


@dataclass(frozen=True, slots=True)
class Target:
    """What Drawbar must reach: a server's median, or its ratio to the least of `others`, against a bound.

    more: what it has more than the least of `others` counts, and not the ratio.
    """

    text: str
    case: str
    server: str
    metric: str
    relation: Relation
    bound: float
    unit: str
    others: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Highlight:
    """A line of README.md: one figure of Drawbar beside nginx's and the best peer's."""

    text: str
    case: str
    server: str
    metric: Metric
    peers: tuple[str, ...]


CPU = Metric("cpu_us", "CPU µs/request", 2)
P50 = Metric("p50_ms", "p50 ms", 2)
P99 = Metric("p99_ms", "p99 ms", 2)
PSS = Metric("pss_mb", "PSS MB", 1)
IDLE = Metric("connection_bytes", "bytes/connection", 0)
RATE = Metric("rps", "requests/s", 0)
LOAD = (CPU, RATE, P50, P99, PSS)

WSGI_PEERS = ("bjoern", "fastwsgi", "granian", "gunicorn-gthread", "gunicorn-sync", "waitress")
ASGI_PEERS = ("uvicorn", "uvicorn-asyncio", "granian-asgi")

UPHEAVAL = (
    Metric("lost", "lost", 0),
    Metric("reset", "reset or refused", 0),
    Metric("requests", "answered", 0),
    Metric("quiet_p99_ms", "p99 quiet ms", 2),
    Metric("p99_ms", "p99 upset ms", 2),
    Metric("p99_ratio", "ratio", 2),
    Metric("reload_p99_ms", "reload ms", 2),
    Metric("resize_p99_ms", "TTIN/TTOU ms", 2),
    Metric("upgrade_p99_ms", "upgrade ms", 2),
    Metric("recycle_p99_ms", "recycling ms", 2),
    Metric("recycled", "workers recycled", 0),
)

CASES: tuple[Case, ...] = (
    Case(
        "wsgi-hello",
        "WSGI, 13 bytes, keep-alive, 64 connections",
        (NGINX, "drawbar", "drawbar-1:8", *WSGI_PEERS),
        LOAD,
        trials.throughput("report"),
        reference=NGINX,
    ),
    Case(
        "asgi-hello",
        "ASGI, 13 bytes, keep-alive, 64 connections",
        ("drawbar-uvloop", "drawbar-asyncio", *ASGI_PEERS),
        LOAD,
        trials.throughput("report"),
        reference="uvicorn",
    ),
    Case(
        "browser",
        "A browser's request, twelve header fields",
        (NGINX, "drawbar", "drawbar-uvloop", *WSGI_PEERS, *ASGI_PEERS),
        LOAD,
        trials.throughput("browser"),
        reference=NGINX,
    ),
    Case(
        "proxied",
        "The fields of a proxy with ten thousand clients, eight requests for each in turn",
        ("drawbar", "drawbar-behind", "drawbar-uvloop-behind", "gunicorn-gthread", "uvicorn"),
        LOAD,
        trials.throughput("proxied"),
        reference="drawbar",
    ),
    Case(
        "pipeline",
        "Sixteen requests pipelined",
        (NGINX, "drawbar", "drawbar-uvloop", *WSGI_PEERS, *ASGI_PEERS),
        # No waiting times: wrk corrects its own for the rate of requests, though it keeps them by the batch.
        (CPU, RATE, PSS),
        trials.throughput("pipeline"),
        reference=NGINX,
        rounds=3,
    ),
    Case(
        "blocking",
        "16 clients on a view that blocks for 50 ms, 16 on a fast one, 8 threads",
        ("drawbar-8", "drawbar-1:8", "gunicorn-gthread", "waitress", "granian-8"),
        (
            Metric("ideal_percent", "blocking: % of ideal", 1),
            Metric("fast_rps", "fast: requests/s", 0),
            Metric("fast_p50_ms", "fast: p50 ms", 2),
            Metric("fast_p99_ms", "fast: p99 ms", 2),
        ),
        trials.blocking,
        app="views",
        rounds=3,
    ),
    Case(
        "room",
        "New connections while three of four slots block for 50 ms at a time",
        ("drawbar-2x2", "drawbar-4x1", "gunicorn-gthread-2x2", "gunicorn-sync-4", "granian-2x2"),
        (
            P50,
            Metric("p90_ms", "p90 ms", 2),
            P99,
            Metric("blocking_rps", "blocking: requests/s", 1),
        ),
        trials.room,
        app="views",
        rounds=3,
    ),
    Case(
        "fork",
        "A process for each request, 8 connections",
        ("drawbar", "drawbar-fork", "lighttpd-cgi", "gunicorn-once"),
        LOAD,
        # What has begun at the end is paid for and not counted: with more it would show.
        trials.throughput("report", connections=8),
        reference="drawbar-fork",
        rounds=3,
    ),
    Case(
        "idle",
        "10,000 idle keep-alive connections",
        (NGINX, "drawbar", "drawbar-1:8", "drawbar-uvloop", "bjoern", "granian", "granian-asgi", "uvicorn"),
        (IDLE, PSS),
        trials.idle,
        rounds=3,
    ),
    Case(
        "memory",
        "Master and one worker, idle",
        (NGINX, "drawbar", "drawbar-1:8", "drawbar-uvloop", "drawbar-asyncio", *WSGI_PEERS, *ASGI_PEERS),
        (PSS, Metric("uss_mb", "private MB", 1)),
        trials.memory,
        rounds=3,
    ),
    Case(
        "slow",
        "1,000 slow heads and 1,000 slow bodies beside 64 ordinary connections",
        (NGINX, "drawbar", "drawbar-1:8", "drawbar-uvloop", "granian", "granian-asgi", "uvicorn", "waitress"),
        (
            P50,
            Metric("p50_beside_ms", "p50 beside slow ms", 2),
            P99,
            Metric("p99_beside_ms", "p99 beside slow ms", 2),
            Metric("p99_ratio", "p99 ratio", 2),
            Metric("rps_ratio", "requests/s ratio", 2),
            Metric("reconnections", "slow clients turned away", 0),
        ),
        trials.slow,
        rounds=3,
    ),
    Case(
        "hang",
        "Calls that hang for ever, or hold the interpreter's lock for 4 s, with 4 others beside each; a timeout of 2 s",
        ("drawbar-timed-1:8", "drawbar-timed-asyncio", "gunicorn-timed-sync", "gunicorn-timed-gthread"),
        (
            Metric("sleep_ms", "client hears after 2 s + ms: asleep", 1),
            Metric("lock_ms", "in a lock", 1),
            Metric("gil_ms", "with the interpreter's lock", 1),
            Metric("answers", "of 3, answered 504", 0),
            Metric("neighbours", "of 12 others, answered", 0),
        ),
        trials.hang,
        app="hanging",
        rounds=3,
    ),
    *(
        Case(
            f"drain-{kind}",
            f"50 MB {made} to 50 readers of 1 KB/s, 8 threads",
            ("drawbar-8", "drawbar", "waitress", "granian-8", "gunicorn-gthread"),
            (
                Metric("started", "readers served", 0),
                Metric("started_s", "all served after s", 1),
                Metric("answer_ms", "another request ms", 1),
                Metric("growth_mb", "PSS growth MB", 1),
                Metric("reader_kb", "KB/reader", 1),
            ),
            trials.drain(f"/{kind}"),
            app="views",
            rounds=1,
        )
        for kind, made in (("generated", "in 1,000 blocks"), ("whole", "as one bytes object"))
    ),
    Case(
        "upheaval",
        "60 clients at full speed: 20 reloads, 20 TTIN and TTOU, 5 upgrades, recycling after 200 requests; 2 workers",
        ("drawbar-x2", "drawbar-x2-1:8", "drawbar-x2-uvloop", "drawbar-x2-split", "gunicorn-x2"),
        UPHEAVAL,
        upheaval.upheaval,
        rounds=3,
    ),
    Case(
        "killed",
        "`kill -9` of one of 2 workers beside 60 clients at full speed",
        ("drawbar-x2", "drawbar-x2-1:8", "drawbar-x2-uvloop", "gunicorn-x2"),
        (
            Metric("lost_per_kill", "lost exchanges", 1),
            Metric("wrong", "wrong answers, refusals", 0),
            Metric("forked_ms", "death to fork ms", 1),
            Metric("replaced_ms", "death to serving ms", 1),
            Metric("gap_ms", "longest pause ms", 1),
        ),
        upheaval.killed,
        rounds=3,
    ),
    Case(
        "slow-boot",
        "A reload with one worker, whose application is 3 s of work to load, beside 60 clients at full speed",
        ("drawbar", "drawbar-1:8", "gunicorn-gthread"),
        (
            Metric("failed", "lost, reset or refused", 0),
            Metric("reload_s", "reload took s", 2),
            Metric("quiet_gap_ms", "quiet: longest pause ms", 1),
            Metric("gap_ms", "longest pause ms", 1),
            Metric("quiet_p99_ms", "quiet: p99 ms", 2),
            Metric("p99_ms", "p99 ms", 2),
        ),
        upheaval.slow_boot,
        app="slow_boot",
        rounds=2,
    ),
    Case(
        "deploy",
        "`ctl deploy` of another version, whose one worker takes 5 s to load, beside 200 clients at full speed",
        ("drawbar-split-1",),
        (
            Metric("failed", "lost, reset or refused", 0),
            Metric("deploy_s", "moved after s", 2),
            Metric("quiet_longest_ms", "quiet: longest wait ms", 1),
            Metric("longest_ms", "longest wait ms", 1),
            Metric("share_of_boot", "of the boot", 3),
        ),
        upheaval.deploy,
        app="waiting_boot",
        rounds=2,
    ),
    Case(
        "counters",
        "WSGI hello with and without the counters on the shared page",
        ("drawbar", "drawbar-uncounted"),
        (CPU, RATE),
        trials.throughput("report"),
        reference="drawbar-uncounted",
        # What is looked for is a percent, and a single round varies by several.
        rounds=31,
    ),
    Case(
        "split",
        "A hop: what a front spends on passing a request on over a Unix socket, 64 connections",
        ("drawbar-front", "nginx-proxy"),
        (CPU, RATE, P50, P99, PSS),
        trials.throughput("report"),
        reference="nginx-proxy",
        rounds=7,
    ),
    Case(
        "split-alone",
        "One connection through a front, through nginx, and to the worker itself. Near: all behind is on its processor",
        ("drawbar-front-near", "nginx-proxy-near", "drawbar", "drawbar-front", "nginx-proxy"),
        (Metric("p50_ms", "p50 ms", 3), P99, RATE),
        trials.throughput("report", connections=1),
        rounds=7,
    ),
    Case(
        "split-memory",
        "A front, idle, and its master",
        ("drawbar-front",),
        (Metric("front_mb", "front: PSS MB", 1), PSS),
        trials.front_memory,
        rounds=3,
    ),
    Case(
        "lanes",
        "Eight keep-alive workers in plain Python on each lane of the pull API, 32 connections",
        tuple(f"drawbar-front-{lane}" for lane in ("v1", "v1-pipelined", "v2", "attach")),
        (RATE, CPU, P50, P99),
        trials.throughput("report", connections=32),
    ),
    Case(
        "fairness",
        "Two workers with 4 threads behind a front, 6 of 8 slots held for 200 ms: 20 others, and as many as are free",
        ("drawbar-split-2x4",),
        (
            Metric("fast_p99_ms", "20 others: p99 ms", 2),
            Metric("fast_p50_ms", "p50 ms", 2),
            Metric("fast_rps", "requests/s", 0),
            Metric("held_percent", "held: % of ideal", 1),
            Metric("parked", "seen waiting beside an idle slot", 0),
            Metric("waited_ms", "two others: waited in all ms", 0),
            Metric("roomy_p99_ms", "p99 ms", 2),
            Metric("roomy_longest_ms", "longest ms", 2),
            Metric("failed", "failed", 0),
        ),
        pulling.fairness,
        app="slots",
        rounds=3,
    ),
    *(
        Case(
            f"kill-pull-{method.lower()}",
            f"`kill -9` of one of 2 workers behind a front, every second of a minute; 16 clients {method}, 2 ms a call",
            ("drawbar-split-2x4",),
            (
                Metric("answered", "answered", 0),
                Metric("bad_gateway", "told 502", 0),
                Metric("unanswered", "lost otherwise", 0),
                Metric("again", "run again", 0),
                Metric("astray", "answered, never run", 0),
                Metric("untold", "taken along, not told", 0),
                Metric("gap_ms", "longest pause ms", 1),
                Metric("longest_ms", "longest wait ms", 1),
            ),
            pulling.killed(method),
            app="numbered",
            rounds=1,
        )
        for method in ("GET", "POST")
    ),
    Case(
        "vanish",
        "A tenth of 1,000 slots on other machines is cut off without a word, at work and idle; 500 clients, 1 s a call",
        ("drawbar-front-far",),
        (
            Metric("again_s", "at work: served again after s", 2),
            Metric("taken_along", "requests they had", 0),
            Metric("gone_s", "slots gone after s", 2),
            Metric("back_s", "back after s", 2),
            Metric("idle_again_s", "idle: served again after s", 2),
            Metric("blind", "requests given to them", 0),
            Metric("failed", "lost, or answered wrongly", 0),
            Metric("answered", "answered", 0),
        ),
        pulling.vanish,
        app="numbered",
        rounds=1,
    ),
    Case(
        "probes",
        "A front's probes with 8 slots held for 200 ms at a time, 1,000 requests waiting, and 8 clients turned away",
        ("drawbar-split-2x4",),
        (
            *(
                Metric(f"{probe}_{figure}_ms", f"/{probe} {figure} ms", 2)
                for probe in ("readyz", "livez")
                for figure in ("p99", "worst", "p50")
            ),
            Metric("full_percent", "queue seen full: %", 0),
            Metric("turned_away_rps", "turned away/s", 0),
        ),
        probing.probes,
        app="slots",
        rounds=3,
    ),
    Case(
        "queue-depth",
        "Up to 10,000 requests that wait for one worker: what the next costs, and what one takes",
        ("drawbar-front-deep",),
        (
            Metric("ratio", "10,000 by 10", 2),
            *(Metric(f"us_{waiting}", f"behind {waiting:,}: CPU µs", 2) for waiting in pulling.DEPTHS),
            Metric("rules_ratio", "rules: 10,000 by 10", 2),
            *(Metric(f"rules_ns_{waiting}", f"behind {waiting:,}: ns", 0) for waiting in pulling.DEPTHS),
            Metric("waiting_bytes", "bytes beside its own", 0),
        ),
        pulling.depth,
        rounds=3,
    ),
    Case(
        "supervision",
        "Master and workers for 10 s in which nobody asks anything",
        ("drawbar", "drawbar-1:8", "drawbar-uvloop", "drawbar-x100", "gunicorn-gthread"),
        (
            Metric("master_cpu_percent", "master: CPU %", 4),
            Metric("master_wakes", "wake-ups/s", 2),
            Metric("workers_cpu_percent", "workers: CPU %", 4),
            Metric("workers_wakes", "wake-ups/s", 2),
            Metric("master_pss_mb", "master: PSS MB", 1),
            Metric("workers", "children", 0),
        ),
        supervision.idle_supervision,
        rounds=3,
    ),
)

HIGHLIGHTS: tuple[Highlight, ...] = (
    Highlight("WSGI hello, CPU µs/request", "wsgi-hello", "drawbar", CPU, WSGI_PEERS),
    Highlight("WSGI hello with threads 1:8, CPU µs/request", "wsgi-hello", "drawbar-1:8", CPU, WSGI_PEERS),
    Highlight("ASGI hello on uvloop, CPU µs/request", "asgi-hello", "drawbar-uvloop", CPU, ASGI_PEERS),
    Highlight("WSGI, a browser's request, CPU µs/request", "browser", "drawbar", CPU, WSGI_PEERS),
    Highlight("WSGI, sixteen pipelined, CPU µs/request", "pipeline", "drawbar", CPU, WSGI_PEERS),
    Highlight("Idle connection, bytes", "idle", "drawbar", IDLE, (*WSGI_PEERS, *ASGI_PEERS)),
    Highlight("Master and one WSGI worker, PSS MB", "memory", "drawbar", PSS, WSGI_PEERS),
)


def targets(python: tuple[int, int]) -> list[Target]:
    """What must be reached on one version of Python."""
    asgi_bound = 0.45 if python >= EAGER_TASKS_SINCE else 0.70
    found = [
        Target("WSGI hello, inline", "wsgi-hello", "drawbar", "cpu_us", "<=", 1.10, "x nginx", (NGINX,)),
        Target("WSGI hello, threads 1:8", "wsgi-hello", "drawbar-1:8", "cpu_us", "<=", 1.30, "x nginx", (NGINX,)),
        ahead("WSGI hello, inline", "wsgi-hello", "drawbar", WSGI_PEERS),
        Target(
            "ASGI hello, uvloop", "asgi-hello", "drawbar-uvloop", "cpu_us", "<=", asgi_bound, "x uvicorn", ("uvicorn",)
        ),
    ]
    for case, text in (("browser", "Browser request"), ("pipeline", "16-deep pipelining")):
        found += [
            ahead(f"{text}, WSGI", case, "drawbar", WSGI_PEERS),
            ahead(f"{text}, ASGI", case, "drawbar-uvloop", ASGI_PEERS),
        ]
    found += [
        ahead("Behind a proxy, WSGI", "proxied", "drawbar-behind", ("gunicorn-gthread",)),
        ahead("Behind a proxy, ASGI", "proxied", "drawbar-uvloop-behind", ("uvicorn",)),
    ]
    for server in ("drawbar-8", "drawbar-1:8"):
        found += [
            Target("Blocking view, 8 threads", "blocking", server, "ideal_percent", ">=", 90, "% of ideal"),
            Target("Fast view beside it, p50", "blocking", server, "fast_p50_ms", "<", 1, "ms"),
        ]
    # A free slot is found at once: nobody waits behind a call of 50 ms.
    found += [
        Target("New connection, one slot of four free, p90", "room", server, "p90_ms", "<", 10, "ms")
        for server in ("drawbar-2x2", "drawbar-4x1")
    ]
    for server in ("drawbar", "drawbar-uvloop"):
        found += [
            Target("Idle connection", "idle", server, "connection_bytes", "<=", 530, "bytes"),
            # Within noise: what nginx itself varies by from run to run on a quiet machine.
            Target("p99 beside slow clients", "slow", server, "p99_ratio", "<=", 1.25, "x p99 without"),
        ]
    for server in ("drawbar-timed-1:8", "drawbar-timed-asyncio"):
        found += [
            Target(f"504 for a call that hangs, late: {text}", "hang", server, f"{way}_ms", "<=", 50, "ms")
            for way, text in (("sleep", "asleep"), ("lock", "in a lock"), ("gil", "with the interpreter's lock"))
        ]
        found.append(Target("Neighbours of calls that hang", "hang", server, "neighbours", ">=", 12, "of 12"))
    found += [*supervision_targets(), *pulling_targets()]
    found.append(Target("Master and one WSGI worker, idle", "memory", "drawbar", "pss_mb", "<=", 20, "MB"))
    for case in ("drain-generated", "drain-whole"):
        found += [
            # The high-water mark of a connection's output: what is above it spills to a file.
            Target("Slow reader of 50 MB, memory", case, "drawbar-8", "reader_kb", "<=", 262, "KB"),
            # A held thread would keep it waiting until readers are done: minutes. All cores write files meanwhile.
            Target("Another request beside slow readers", case, "drawbar-8", "answer_ms", "<=", 250, "ms"),
        ]
    return found


def supervision_targets() -> list[Target]:
    """What must be reached while servers are upset, and while nothing happens."""
    found: list[Target] = []
    fused = ("drawbar-x2", "drawbar-x2-1:8", "drawbar-x2-uvloop")
    for server in (*fused, "drawbar-x2-split"):
        found += [
            Target("Upheaval: lost", "upheaval", server, "lost", "<=", 0, "requests"),
            Target("Upheaval: reset or refused", "upheaval", server, "reset", "<=", 0, "connections"),
            Target("Upheaval: p99", "upheaval", server, "p99_ratio", "<=", 3, "x quiet"),
        ]
    one = "drawbar-split-1"
    found += [
        Target("Deploy with a boot of 5 s: lost, reset, refused", "deploy", one, "failed", "<=", 0, "requests"),
        Target("Deploy with a boot of 5 s: longest wait", "deploy", one, "share_of_boot", "<=", 1, "x boot"),
    ]
    # Of its death plus the boot, which is the time from there to serving.
    found += [Target("Killed worker replaced", "killed", server, "forked_ms", "<=", 200, "ms") for server in fused]
    for server in ("drawbar", "drawbar-1:8"):
        found += [
            Target("Reload of a slow boot: lost, reset, refused", "slow-boot", server, "failed", "<=", 0, "requests"),
            # Two ticks of the kernel's scheduler with three processes on one processor, and some.
            Target("Reload of a slow boot: pause", "slow-boot", server, "gap_ms", "<=", 50, "ms"),
            Target("Idle master, PSS", "supervision", server, "master_pss_mb", "<=", 12, "MB"),
        ]
    for server in ("drawbar", "drawbar-1:8", "drawbar-x100"):
        found += [
            Target("Idle master, processor time", "supervision", server, "master_cpu_percent", "<", 0.05, "%"),
            Target("Idle master, wake-ups", "supervision", server, "master_wakes", "<=", 0.1, "a second"),
        ]
    uncounted = ("drawbar-uncounted",)
    found.append(Target("Cost of counting", "counters", "drawbar", "cpu_us", "<=", 1.01, "x without", uncounted))
    return found


def pulling_targets() -> list[Target]:
    """What must be reached by a front and those that pull from it."""
    two, far, deep = "drawbar-split-2x4", "drawbar-front-far", "drawbar-front-deep"
    bound_s = pulling.SERVED_AGAIN_S
    found = [
        Target("A front's hop", "split", "drawbar-front", "cpu_us", "<=", 1.25, "x nginx", ("nginx-proxy",)),
        Target(
            "A front's hop, added wait",
            "split-alone",
            "drawbar-front-near",
            "p50_ms",
            "<=",
            0.06,
            "ms",
            ("drawbar",),
            more=True,
        ),
        Target("A front, idle", "split-memory", "drawbar-front", "front_mb", "<=", 20, "MB"),
        Target("Lane v1, 8 workers", "lanes", "drawbar-front-v1", "rps", ">=", 3_000, "requests/s"),
        Target("20 beside 6 of 8 slots held, p99", "fairness", two, "fast_p99_ms", "<=", 10, "ms"),
        *(
            Target(f"/{probe} with a full queue, p99", "probes", two, f"{probe}_p99_ms", "<=", 10, "ms")
            for probe in ("livez", "readyz")
        ),
        Target("Waiting while a slot is free", "fairness", two, "parked", "<=", 0, "times"),
        Target("Waiting with a slot for each", "fairness", two, "waited_ms", "<=", 0, "ms"),
        Target("Workers killed under GET: lost", "kill-pull-get", two, "bad_gateway", "<=", 0, "told 502"),
        Target("Workers killed under POST: run again", "kill-pull-post", two, "again", "<=", 0, "requests"),
        Target("Workers killed under POST: not told once", "kill-pull-post", two, "untold", "<=", 0, "requests"),
    ]
    found += [
        Target(f"Workers killed under {method}: lost otherwise", case, two, "unanswered", "<=", 0, "requests")
        for method, case in (("GET", "kill-pull-get"), ("POST", "kill-pull-post"))
    ]
    return [
        *found,
        Target("Machines cut off: served again", "vanish", far, "again_s", "<=", bound_s, "s"),
        Target("Machines cut off, idle: served again", "vanish", far, "idle_again_s", "<=", bound_s, "s"),
        Target("Machines cut off: lost, answered wrongly", "vanish", far, "failed", "<=", 0, "requests"),
        # The rules do the same whatever waits. A front meets connections it has not seen for a while: other memory.
        Target("Behind 10,000 requests", "queue-depth", deep, "ratio", "<=", 1.5, "x behind 10"),
        Target("Behind 10,000 requests, the rules", "queue-depth", deep, "rules_ratio", "<=", 1.5, "x behind 10"),
        Target("Waiting request", "queue-depth", deep, "waiting_bytes", "<=", 2_048, "bytes beside its own"),
    ]


def ahead(text: str, case: str, server: str, peers: tuple[str, ...]) -> Target:
    """Less processor time per request than any of the peers."""
    return Target(text, case, server, "cpu_us", "<", 1, "x the best Python peer", peers)


def chosen(wanted: Iterable[str]) -> list[Case]:
    """The cases asked for, in the table's order; all of them when none is. Raises KeyError for an unknown one."""
    wanted = list(wanted)
    names = {case.name for case in CASES}
    for name in wanted:
        if name not in names:
            raise KeyError(name)
    return [case for case in CASES if not wanted or case.name in wanted]
