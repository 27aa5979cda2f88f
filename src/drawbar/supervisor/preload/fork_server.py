"""The master's side of a fork server: how it is started, ordered to fork, promoted and ended.

The fork server holds the application, the master never does. Its workers are its grandchildren, left behind by a
process between that ends at once; the master adopts them, so that they are its children in every respect: waitpid(2)
tells of their end, and they end with it. The fork server may be ended or replaced at any time without them noticing.

What runs in the fork server itself stands in `forking`.
"""

import errno
import os
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from drawbar.config import Config
from drawbar.supervisor.child import Reporter, Role, Spawned, spawn
from drawbar.supervisor.host.privileges import settle_as
from drawbar.supervisor.logs import Log
from drawbar.supervisor.preload.fork_orders import GO, MAX_LISTENERS, TITLE, CellOf, Order, receive_reply, send_order
from drawbar.supervisor.process import adopt_grandchildren
from drawbar.supervisor.worker.promotion import PROMOTE_SIGNAL

REPLY_S = 5.0
"""Bound of the wait for a reply. A fork takes milliseconds; a fork server that takes longer hangs and is killed."""


class ForkServer:
    """A running fork server. It takes orders once it has reported "ready INTERFACE" or "forking INTERFACE".

    pid, reports: as of any child of the master.
    """

    def __init__(self, spawned: Spawned, *, refork: bool) -> None:
        """`spawned` must have a socket for orders, which becomes this object's."""
        assert spawned.orders is not None
        self.pid = spawned.pid
        self.reports = spawned.reports
        self._orders = spawned.orders
        self._orders.settimeout(REPLY_S)
        self._refork = refork

    @classmethod
    def start(
        cls, config: Config, log: Log, private: Iterable[int], cell_of: CellOf | None = None, name: str = "worker"
    ) -> Self:
        """Forks a fork server, which then loads the application and reports "ready INTERFACE" or "failed: WHY".

        private: the master's descriptors, its listeners among them: each worker is given those with its order.
        cell_of: a worker's cell on the scoreboard by its index. name: what a worker is called. Raises OSError.
        """
        adopt_grandchildren()
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        master = os.getpid()

        def work(report: Callable[[str], None]) -> int:
            here.close()
            # Only this process needs it.
            from drawbar.supervisor.preload.forking import Setting, run_fork_server

            assert isinstance(report, Reporter)
            run_fork_server(Setting(settle_as(config, 0.0), log, master, cell_of, name), there, report)

        try:
            child = spawn(Role(*TITLE, work), log, private)
        except OSError:
            here.close()
            raise
        finally:
            there.close()
        return cls(child._replace(orders=here), refork=config.lifecycle.refork > 0)

    @classmethod
    def promoted(cls, worker: Spawned) -> Self:
        """The fork server that a worker has become, as it reported with FORKING."""
        return cls(worker, refork=True)

    def fileno(self) -> int:
        """The descriptor orders go by. No other child may hold a copy: it is one of the master's private ones."""
        return self._orders.fileno()

    def spawn(self, slot: int, cell: int, listeners: Sequence[socket.socket]) -> Spawned:
        """Has a worker forked, in milliseconds.

        Raises OSError: no process could be had, or the fork server has ended or does not answer within REPLY_S; then
        it is killed, and the master hears of its end as of any child's.
        """
        if len(listeners) > MAX_LISTENERS:
            raise OSError(errno.E2BIG, f"more than {MAX_LISTENERS} listeners cannot be handed to a worker")
        reader, writer = os.pipe2(os.O_CLOEXEC)
        orders, leash = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            held = [writer, leash.fileno(), *(listener.fileno() for listener in listeners)]
            pid = self._ask(Order(slot, cell), held)
            # From here on it is supervised; a worker that does not hear this ends by itself.
            orders.send(GO)
        except OSError:
            os.close(reader)
            orders.close()
            raise
        finally:
            os.close(writer)
            leash.close()
        os.set_blocking(reader, False)
        if not self._refork:
            orders.close()
            return Spawned(pid, reader)
        return Spawned(pid, reader, orders)

    def stop(self) -> None:
        """Ends it. It holds nothing that would need a goodbye, and its workers are the master's."""
        self._orders.close()
        # Gone and buried is as good.
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def close(self) -> None:
        """Lets go of it after its end."""
        self._orders.close()

    def _ask(self, order: Order, descriptors: list[int]) -> int:
        try:
            send_order(self._orders, order, descriptors)
            reply = receive_reply(self._orders)
        except TimeoutError:
            self.stop()
            raise OSError(
                errno.ETIMEDOUT, f"the fork server did not answer within {REPLY_S:g} s and was killed"
            ) from None
        except OSError as error:
            raise OSError(error.errno, f"the fork server cannot be reached: {os.strerror(error.errno or 0)}") from error
        if reply is None:
            raise OSError(errno.ECONNRESET, "the fork server has ended")
        if reply.errno:
            raise OSError(reply.errno, os.strerror(reply.errno))
        return reply.pid


def promote(worker: Spawned) -> None:
    """Asks a worker to drain and then to become the fork server: it reports FORKING, or NOT_FORKING and ends.

    Raises ProcessLookupError.
    """
    assert worker.orders is not None, "only a worker with a socket for orders can be promoted"
    os.kill(worker.pid, PROMOTE_SIGNAL)
