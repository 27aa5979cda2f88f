"""What an operator wants of an app's requests: held or refused, and whose they are. Plain data, and how it changes.

Law: it says how things shall be and not what to do, so it can be told twice, and to a front that has just begun. A
label is "" when its workers name none. What makes no sense cannot be made: msgspec.ValidationError says why.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta, Struct

MOST_LABELS = 64
"""As many as a queue knows."""
MOST_MESSAGE = 500
"""Characters of what clients of a stopped app are told."""

Name = Annotated[str, Meta(max_length=100)]
Share = Annotated[float, Meta(ge=0, le=1e6)]
Weights = dict[Name, Share]
Names = Annotated[tuple[Name, ...], Meta(max_length=MOST_LABELS)]


class Judge(Struct, frozen=True, forbid_unknown_fields=True):
    """The version `new` is on trial: if it is worse than `old`, everything goes `back`.

    answers: outcomes to judge by. seconds: how long to wait for them. back: the shares then, as `weights`. known: the
    last outcomes of `old` and how many were bad, where somebody knew them better than the front that judges.
    """

    new: Name
    old: Name
    answers: Annotated[int, Meta(ge=1, le=1000)] = 50
    seconds: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    back: Weights | None = None
    known: tuple[int, int] | None = None


class Traffic(Struct, frozen=True, forbid_unknown_fields=True):
    """Of one app. Whatever is not said is as it is without any order.

    until: seconds of the machine's monotonic clock at which a pause ends by itself; 0: it does not. weights: shares in
    proportion, labels that are not named get nothing; None: all alike. held: attached, and given nothing. retired:
    sent away.
    """

    gate: Literal["open", "paused", "stopped"] = "open"
    until: float = 0.0
    message: Annotated[str, Meta(max_length=MOST_MESSAGE)] = ""
    weights: Weights | None = None
    held: Names = ()
    retired: Names = ()
    judge: Judge | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and (len(self.weights) > MOST_LABELS or not any(self.weights.values())):
            raise ValueError(f"weights are shares of 1 to {MOST_LABELS} labels, and one of them at least is above 0")

    # -- orders

    def paused(self, until: float = 0.0) -> Self:
        """Requests wait."""
        return msgspec.structs.replace(self, gate="paused", until=until, message="")

    def stopped(self, message: str) -> Self:
        """Requests are turned away; those that wait are served."""
        return msgspec.structs.replace(self, gate="stopped", until=0.0, message=message)

    def resumed(self) -> Self:
        """The end of both."""
        return msgspec.structs.replace(self, gate="open", until=0.0, message="")

    def shared(self, weights: Mapping[str, float] | None) -> Self:
        """Other shares: nobody who has one is held or retired any more, and no trial goes on."""
        named = () if weights is None else weights
        kept = None if weights is None else dict(weights)
        return msgspec.structs.replace(
            self, weights=kept, held=_without(self.held, named), retired=_without(self.retired, named), judge=None
        )

    def even(self) -> Self:
        """All labels alike, those that were held too."""
        return msgspec.structs.replace(self, weights=None, held=(), judge=None)

    def holding(self, label: str) -> Self:
        """That label gets nothing for now."""
        held = (*_without(self.held, (label,)), label)
        return msgspec.structs.replace(self, held=held, retired=_without(self.retired, (label,)))

    def letting_go(self, label: str) -> Self:
        """It is not held any more."""
        return msgspec.structs.replace(self, held=_without(self.held, (label,)))

    def on_trial(self, judge: Judge) -> Self:
        """Everything goes to the judge's `new`."""
        return msgspec.structs.replace(self.shared({judge.new: 1.0}), judge=judge)

    # -- what came of a trial

    def judged(self, *, kept: bool) -> Self:
        """After the verdict. One that failed is held, so that nobody gives it anything by mistake."""
        if self.judge is None:
            return self
        if kept:
            return msgspec.structs.replace(self, judge=None)
        return self.shared(self.judge.back).holding(self.judge.new)

    def is_usual(self) -> bool:
        """Nobody has ordered anything."""
        return self == type(self)()


def _without(names: tuple[str, ...], gone: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in gone)
