"""Runs every fuzz target for a while, on the corpus of the tests: `python tests/fuzz/run.py --seconds 60`.

Builds nothing: it needs a Python (3.12 or newer) that has drawbar and atheris. Exits with 1 when a target finds
something; the input is then left in `build/fuzz/TARGET/`, and `python -m tests.fuzz.TARGET FILE` repeats it.
"""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SEEDS = ROOT / "tests" / "wire" / "corpus"
WORK = ROOT / "build" / "fuzz"
TARGETS = {
    "fuzz_request": ("request/valid", "request/invalid"),
    "fuzz_response": ("response/valid", "response/invalid"),
    "fuzz_proxy_header": ("proxy/valid",),
    "fuzz_chunked": ("request/valid", "request/invalid", "response/valid", "response/invalid"),
}
# Bytes; past the limits the targets set, so that those are met, and short enough to be fast.
LARGEST_INPUT = 2048
# An input that takes longer than this many seconds is a finding.
SLOWEST_INPUT = 5


def run(target: str, seconds: int) -> bool:
    """Whether the target ran its time without a finding."""
    work = WORK / target
    grown = work / "corpus"
    grown.mkdir(parents=True, exist_ok=True)
    seeds = work / "seeds.txt"
    seeds.write_text(
        ",".join(str(path) for group in TARGETS[target] for path in sorted((SEEDS / group).glob("*.http")))
    )
    command = [
        sys.executable,
        "-m",
        f"tests.fuzz.{target}",
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST_INPUT}",
        f"-timeout={SLOWEST_INPUT}",
        f"-artifact_prefix={work}/",
        "-print_final_stats=1",
        f"-seed_inputs=@{seeds}",
        str(grown),
    ]
    print(f"{target}: {seconds} seconds", flush=True)
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


def main() -> int:
    """Runs the targets one after the other and says which found something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together (default: 60)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"some of {', '.join(TARGETS)} (default: all)")
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    missing = [module for module in ("atheris", "drawbar") if importlib.util.find_spec(module) is None]
    if missing:
        parser.error(f"{sys.executable} has no {' and no '.join(missing)}")
    targets = arguments.targets or list(TARGETS)
    failed = [target for target in targets if not run(target, max(1, arguments.seconds // len(targets)))]
    for target in failed:
        print(f"{target} found something: see {WORK / target}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
