"""Prints what pyproject.toml asks for, one requirement a line.

Usage: `requirements.py build|package|EXTRA...`. Keeps the Makefile free of version numbers. Imports nothing that needs
installing.
"""

import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def requirements(wanted: list[str]) -> list[str]:
    """The requirements of each of `wanted`: `build`, `package` for its hard dependencies, or an extra."""
    tree = tomllib.loads(PYPROJECT.read_text())
    groups = {
        "build": tree["build-system"]["requires"],
        "package": tree["project"]["dependencies"],
        **tree["project"]["optional-dependencies"],
    }
    unknown = [name for name in wanted if name not in groups]
    if unknown:
        raise SystemExit(f"pyproject.toml has no {', '.join(unknown)}; it has {', '.join(groups)}")
    return [line for name in wanted for line in groups[name]]


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1:])))
