"""The query of a request to the API, read strictly: what is misspelt must not be taken for the default."""

import math
import re
from collections.abc import Container
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from drawbar.pull.problem import Problem, shortened

SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
NUMBER: Final = re.compile(r"[0-9]{1,9}")
LONGEST_NAME: Final = 100
"""Characters of a label or a worker's name; past it 400."""


@lru_cache(maxsize=1_024)
def _pairs(query: str) -> tuple[tuple[str, str], ...]:
    # Workers ask the same question over and over.
    return tuple(parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="replace"))


def read_query(query: str, known: Container[str], expected: str) -> dict[str, str]:
    """Its parameters. Raises Problem for one that is unknown or there twice."""
    read: dict[str, str] = {}
    for name, value in _pairs(query):
        if name not in known:
            raise Problem("bad-request", f"the parameter {shortened(name)} is unknown here", expected)
        if name in read:
            raise Problem("bad-request", f"the parameter {shortened(name)} comes twice", expected)
        read[name] = value
    return read


def read_name(parameters: dict[str, str], name: str) -> str:
    """A label or the like; empty when it is not given. Raises Problem for one that cannot be shown in a line."""
    value = parameters.get(name, "")
    if len(value) > LONGEST_NAME or not value.isprintable():
        raise Problem("bad-request", f"{name}={shortened(value)}", f"at most {LONGEST_NAME} printable characters")
    return value


def read_wait(parameters: dict[str, str], default_ms: int, most_ms: int) -> int:
    """Milliseconds of `wait`. Raises Problem."""
    text = parameters.get("wait")
    if text is None:
        return min(default_ms, most_ms)
    wait_ms = math.ceil(float(text) * 1_000) if SECONDS.fullmatch(text) else -1
    if not 0 <= wait_ms <= most_ms:
        raise Problem("bad-request", f"wait={shortened(text)}", f"seconds, from 0 to {most_ms / 1000:g}")
    return wait_ms


def read_number(parameters: dict[str, str], name: str, most: int) -> int:
    """A whole number from 0 to `most`, which is also what it is when it is not given. Raises Problem."""
    text = parameters.get(name, str(most))
    if not NUMBER.fullmatch(text) or int(text) > most:
        raise Problem("bad-request", f"{name}={shortened(text)}", f"a whole number from 0 to {most}")
    return int(text)
