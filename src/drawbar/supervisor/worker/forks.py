"""What a process that an application forks must not share with its worker.

It starts with everything the worker has. Its copies of the connections and listeners would keep them open when the
worker closes them. A signal sent to it, such as the SIGTERM by which multiprocessing ends a pool, would not end it, as
the worker's handlers do nothing, and would tell the worker to stop, as both write to the same wake-up descriptor.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from drawbar.net.reactor import Reactor
from drawbar.supervisor.worker.site import WORKER_SIGNALS

_SIGNALS = WORKER_SIGNALS


class _Held(NamedTuple):
    """What is this process's alone."""

    reactor: Reactor
    listeners: Sequence[socket.socket]
    abandon: Callable[[], object]


_held: _Held | None = None
# What was asked for cannot be taken back, and children of this process ask for the same.
_asked = False
_deaf = False
"""The child that is being forked keeps the worker's handlers."""
_masks: dict[int, set[int]] = {}
"""Signals blocked before, by the thread that forks."""


def disown_in_children(
    reactor: Reactor, listeners: Sequence[socket.socket], abandon: Callable[[], object] = lambda: None
) -> None:
    """From now on every child this process forks begins by letting go of what is its worker's.

    abandon: lets go of more, in the child.
    """
    global _held, _asked
    _held = _Held(reactor, listeners, abandon)
    if not _asked:
        os.register_at_fork(before=_hold_signals, after_in_parent=_release_signals, after_in_child=_let_go)
        _asked = True


def disown_nothing() -> None:
    """The process is no worker any more: its children are."""
    global _held
    _held = None


def fork_deaf() -> int:
    """As os.fork(), for a process that is the worker's and no other's: what is meant for a worker does nothing to it.

    A terminal and a service manager send to all processes at once; the worker sees to its own. A handler that does
    nothing is not inherited by programs, as SIG_IGN would be, nor are these by what that process forks.
    """
    global _deaf
    _deaf = True
    try:
        return os.fork()
    finally:
        _deaf = False


def _hold_signals() -> None:
    """Until the child has let go: a signal it gets at once would be lost in a handler of the worker's."""
    _masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.pop(threading.get_ident()))


def _let_go() -> None:
    if _held is not None:
        # In the child the thread that forked is the main thread, which alone may do this.
        signal.set_wakeup_fd(-1)
        if not _deaf:
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
        _held.reactor.abandon()
        for listener in _held.listeners:
            listener.close()
        _held.abandon()
    _release_signals()
