"""What went wrong last, for the status. A later reload or upgrade that succeeds makes it history, which the log has."""

from collections.abc import Callable


class LastError:
    """One line and its time. `clock`: seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.line: str | None = None
        self._clock = clock
        self._at = 0.0

    def keep(self, line: str) -> None:
        """This is the last one now."""
        self.line, self._at = line, self._clock()

    def forget(self) -> None:
        """It is mended."""
        self.line = None

    @property
    def age_s(self) -> float | None:
        """Seconds since it happened; None when nothing has."""
        return None if self.line is None else self._clock() - self._at
