"""What a process that an application forks must not share with its worker.

It starts with everything the worker has. Its copies of the connections and listeners would keep them open when the
worker closes them. A signal sent to it, such as the SIGTERM by which multiprocessing ends a pool, would not end it, as
the worker's handlers do nothing, and would tell the worker to stop, as both write to the same wake-up descriptor.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Sequence

from drawbar.net.reactor import Reactor
from drawbar.supervisor.site import REOPEN_SIGNAL, STOP_SIGNALS


def disown_in_children(reactor: Reactor, listeners: Sequence[socket.socket]) -> None:
    """From now on every child this process forks begins by letting go of what is its worker's. Once in a process."""

    def let_go() -> None:
        # In the child the thread that forked is the main thread, which alone may do this.
        signal.set_wakeup_fd(-1)
        for number in (*STOP_SIGNALS, REOPEN_SIGNAL):
            signal.signal(number, signal.SIG_DFL)
        reactor.abandon()
        for listener in listeners:
            listener.close()

    os.register_at_fork(after_in_child=let_go)
