"""TLS of a front's API: what has come by it, on its way to the reactor.

Every TCP socket of the API speaks TLS when there is a certificate, and none does without. A Unix socket never does: its
permissions say who gets there, and nobody listens on the way.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from drawbar.config.binds import is_loopback
from drawbar.net.listener import serve_for
from drawbar.pull.attached import open_door
from drawbar.pull.waker import Waker
from drawbar.supervisor.process import give_back_memory

if TYPE_CHECKING:
    import ssl

    from drawbar.net.listener import Connector
    from drawbar.net.reactor import Reactor

FILES_A_LINE = 3
"""Open files for a connection by TLS: its socket, and the pair between pump and reactor."""


def plain_and_secure(
    listeners: Sequence[socket.socket], context: ssl.SSLContext | None
) -> tuple[list[socket.socket], list[socket.socket]]:
    """The sockets of the API that speak plain HTTP, and those that speak TLS."""
    secure = [listener for listener in listeners if context is not None and listener.family != socket.AF_UNIX]
    return [listener for listener in listeners if listener not in secure], secure


def exposed(listeners: Sequence[socket.socket]) -> list[str]:
    """Addresses of those that others than this machine reach."""
    names = [listener.getsockname() for listener in listeners if listener.family != socket.AF_UNIX]
    return [f"{name[0]}:{name[1]}" for name in names if not is_loopback(name[0])]


class SecureDoor:
    """The way in by TLS. make_connector: of the socket somebody came by. most: connections at once, waiting or not.

    is_full: whether the reactor has as many connections as it may; who comes then is sent away.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        context: ssl.SSLContext,
        *,
        make_connector: Callable[[socket.socket], Connector],
        most: int,
        is_full: Callable[[], bool],
        tell: Callable[[str], object],
    ) -> None:
        from drawbar.pull.tls_pump import Pump
        from drawbar.pull.tls_reception import Reception

        self._connectors = {listener: make_connector(listener) for listener in listeners}
        self._is_full = is_full
        self._arrivals = Waker()
        self._pump = Pump()
        self._reception = Reception(
            listeners,
            context,
            self._pump,
            most=most,
            on_arrived=self._arrivals.wake,
            tell=tell,
            on_quiet=give_back_memory,
        )

    def open(self, reactor: Reactor) -> None:
        """Begins to accept."""
        self._reactor = reactor
        open_door(reactor, self._arrivals.fileno(), self._take_in, self._reception.stop)
        self._pump.start()
        self._reception.start()

    def _take_in(self) -> None:
        """On the reactor's thread: somebody has arrived."""
        self._arrivals.clear()
        while (received := self._reception.fetch()) is not None:
            if self._is_full():
                received.socket.close()
            else:
                connector = self._connectors[received.listener]
                serve_for(self._reactor, received.socket.detach(), connector, received.peer)

    def finish(self) -> None:
        """After the reactor has drained: has it serve those who were shaking hands then, as it does the accepted."""
        self._reception.wait()
        self._take_in()
        self._reactor.run()

    def close(self) -> None:
        """Ends both threads, after the reactor has been closed and so has its end of every line."""
        self._reception.close()
        self._pump.stop()
        self._arrivals.close()
