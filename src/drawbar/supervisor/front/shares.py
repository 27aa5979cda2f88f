"""Shares of an app's requests, as an operator writes them. Pure."""

from collections.abc import Collection, Mapping
from typing import Final

WHOLE: Final = 100.0


def shown(label: str) -> str:
    """A label in a message."""
    return label or "workers without a label"


def complete(shares: Mapping[str, float], serving: Collection[str]) -> dict[str, float]:
    """Shares in percent, all of them: what is left of a hundred goes to the one that gets requests and is not named.

    serving: those that get requests now. Raises ValueError when it is not clear whose the rest is.
    """
    total = sum(shares.values())
    if any(not 0 <= share <= WHOLE for share in shares.values()):
        raise ValueError("a share is 0 % to 100 %")
    if total > WHOLE:
        raise ValueError(f"these shares come to {total:g} %; all together are 100 %")
    rest = round(WHOLE - total, 6)
    if not rest:
        return dict(shares)
    others = sorted(set(serving).difference(shares))
    if len(others) != 1:
        whose = ", ".join(map(shown, others)) or "no other label is there"
        raise ValueError(f"whose are the other {rest:g} % ({whose})? Write shares that come to 100 %")
    return {others[0]: rest, **shares}


def in_words(weights: Mapping[str, float]) -> str:
    """`v7 90 %, v8 10 %`."""
    return ", ".join(f"{shown(label)} {share:g} %" for label, share in weights.items() if share)
