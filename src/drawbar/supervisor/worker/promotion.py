"""The wish that a worker become the fork server: a signal on its way in, a flag between those who serve.

Whoever serves (`serve_wsgi`, `serve_asgi`) takes the signal for a stop that is more than a stop: it drains, and what it
then returns to asks the flag. A stop that came before or comes meanwhile is a stop.
"""

import signal
from typing import Final

import msgspec

PROMOTE_SIGNAL: Final = signal.SIGURG
"""Ignored by default: a worker that has no handler for it yet loses nothing. Puma uses it for the same."""


class Promotion(msgspec.Struct):
    """Whether the worker is to become the fork server once it has drained."""

    asked: bool = False
    _stopped: bool = False

    def hear(self, *, promote: bool, stop: bool) -> bool:
        """Takes in what signals said; whether the worker is to drain."""
        self._stopped = self._stopped or stop
        self.asked = (self.asked or promote) and not self._stopped
        return self.asked or self._stopped
