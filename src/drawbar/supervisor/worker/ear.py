"""Signals, as a process hears them whose reactor runs standalone: on whichever thread leads, whatever the others do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawbar.net.reactor import Reactor
    from drawbar.supervisor.worker.site import Site


def obey_signals(
    site: Site, reactor: Reactor, reader: int, writer: int, on_stop: Callable[[], object] = lambda: None
) -> Callable[[], None]:
    """Drains at the first stop signal, and follows rotated logs. Calling what it returns ends that.

    reader, writer: the ends of a pipe that neither blocks nor is inherited, closed in the end. on_stop: called when the
    reactor has been told to drain.

    Python runs signal handlers on the main thread, which may be inside the application. So the handler does nothing,
    and the signal's number, which C code writes for it (signal.set_wakeup_fd), reaches whichever thread leads.
    """

    def ignore(number: int, frame: FrameType | None) -> None:
        return None

    def arrived() -> None:
        # The application may have handlers of its own: their numbers come here too.
        if site.hear(os.read(reader, 64), reactor) and not reactor.is_draining():
            reactor.drain()
            on_stop()

    def cease() -> None:
        signal.set_wakeup_fd(-1)
        os.close(reader)
        os.close(writer)

    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in site.signals:
        signal.signal(number, ignore)
        # What C code of an application waits in goes on waiting.
        signal.siginterrupt(number, False)
    reactor.watch(reader, arrived)
    # The files were opened when loading the application began; a signal since then told nobody.
    site.reopen_logs()
    return cease
