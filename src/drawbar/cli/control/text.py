"""Numbers, times and names as people read them in a terminal. Pure.

Nothing a client sends can move the cursor: whatever is no printable character is escaped (`plain`).
"""

import math

SHORT = "…"


def count(value: float) -> str:
    """A number with its thousands apart, rounded as its size deserves: `0.4`, `12`, `1 204 311`."""
    if 0 < value < 10 and value != int(value):
        return f"{value:.1f}"
    return f"{round(value):,}".replace(",", " ")


def size(amount: float) -> str:
    """Bytes in powers of 1024, three digits at most: `812 B`, `4.2 MB`, `31 MB`, `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1024
    return f"{amount:.1f} {unit}" if amount < 9.95 and unit != "B" else f"{amount:.0f} {unit}"


def time(seconds: float | None) -> str:
    """A length of time in one unit: `0.2 ms`, `31 ms`, `1.2 s`, `75 s`, `12 min`, `3 h`, `4 d`. `-` when not known."""
    if seconds is None:
        return "-"
    if math.isinf(seconds):
        return "> 60 s"
    milliseconds = seconds * 1000
    if milliseconds < 999.5:
        return f"{milliseconds:.1f} ms" if milliseconds < 9.95 else f"{milliseconds:.0f} ms"
    if seconds < 119.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    for unit, length, most in (("min", 60, 120), ("h", 3600, 48), ("d", 86400, math.inf)):
        if seconds / length < most:
            return f"{seconds / length:.0f} {unit}"
    raise AssertionError("no time is longer than for ever")


def plain(text: str) -> str:
    """The text with what is not printable escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def cut(text: str, width: int) -> str:
    """At most `width` characters, the last an ellipsis where some are missing."""
    if len(text) <= width:
        return text
    return text[: width - 1] + SHORT if width > 0 else ""
