"""Which processes are there for which label of which app: told when the first connection comes and the last one goes.

Law: a process counts as long as it has a connection on the attach lane; on the polling lanes until `ABSENT_MS` after
the end of its last question. It is known by its process id on a Unix socket; all others of a label count as one, the
process 0. Nothing here reads a clock.
"""

from collections.abc import Callable
from typing import Final

ABSENT_MS: Final = 10_000
"""Between two questions: past it a process that polls is gone."""
MOST_POLLING: Final = 1_000
"""Processes that poll, of which the end is told in time; past it those seen longest ago count as gone. Each call of a
shell script's curl is one."""

Key = tuple[str, str, int]
"""App, label, process."""


class Presence:
    """on_came and on_left are called with app, label and process id, in turn; on_polling when the first one polls: then
    sweep() is to be called now and again, until it says False.
    """

    def __init__(
        self,
        on_came: Callable[[str, str, int], object],
        on_left: Callable[[str, str, int], object],
        on_polling: Callable[[], object] = lambda: None,
    ) -> None:
        self._on_came = on_came
        self._on_left = on_left
        self._on_polling = on_polling
        self._connections: dict[Key, int] = {}
        self._polling: dict[Key, int] = {}
        """Until when, in milliseconds; the one that asked last stands last."""

    def came(self, app: str, label: str, pid: int) -> None:
        """A connection."""
        key = (app, label, pid)
        known = self._connections.get(key, 0)
        self._connections[key] = known + 1
        if not known and key not in self._polling:
            self._on_came(*key)

    def went(self, app: str, label: str, pid: int) -> None:
        """A connection that came has ended."""
        key = (app, label, pid)
        self._connections[key] -= 1
        if not self._connections[key]:
            del self._connections[key]
            if key not in self._polling:
                self._on_left(*key)

    def asked(self, app: str, label: str, pid: int, until_ms: int) -> None:
        """A question that waits until then at most."""
        key = (app, label, pid)
        is_first = not self._polling
        known_until_ms = self._polling.pop(key, 0)
        is_new = not known_until_ms and key not in self._connections
        self._polling[key] = max(known_until_ms, until_ms + ABSENT_MS)
        if is_first:
            self._on_polling()
        if is_new:
            self._on_came(*key)
        if len(self._polling) > MOST_POLLING:
            self._drop(next(iter(self._polling)))

    def sweep(self, now_ms: int) -> bool:
        """Tells of those that poll no more; False: nobody polls."""
        for key in [key for key, until_ms in self._polling.items() if until_ms <= now_ms]:
            self._drop(key)
        return bool(self._polling)

    def _drop(self, key: Key) -> None:
        del self._polling[key]
        if key not in self._connections:
            self._on_left(*key)

    def __contains__(self, what: tuple[str, str]) -> bool:
        """Whether somebody is there for that label of that app."""
        return any(key[:2] == what for key in (*self._connections, *self._polling))
