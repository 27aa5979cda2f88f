"""A network that can be cut: namespaces of its own for a front and its workers, joined by links (veth(4)).

Law: nothing of it outlives this process. No namespace has a name: each is a descriptor, and the kernel takes one down,
with its end of a link and so with the other, when the descriptor and the processes in it are gone. What is started in
a `with inside(...)` block lives there, and so do sockets that are made in it; only the calling thread moves.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.measure import MeasurementFailed

CLONE_NEWNET = 0x40000000
HERE_NOW = "/proc/thread-self/ns/net"
NET = "10.213.{number}.{host}"

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Side:
    """One end of the world: machines that reach the front's by one link."""

    name: str
    namespace: int
    front: str
    """The front's address, as they see it."""

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is started in this block is one of these machines."""
        with open(HERE_NOW) as before:
            enter(self.namespace)
            try:
                yield
            finally:
                enter(before.fileno())

    def cut(self) -> None:
        """Takes the link away, without a word to anybody."""
        self._ip("link", "set", self.name, "down")

    def mend(self) -> None:
        """Gives it back."""
        self._ip("link", "set", self.name, "up")

    def join(self, number: int) -> None:
        """Makes the link, to the namespace this thread is in."""
        there = f"/proc/{os.getpid()}/fd/{self.namespace}"
        ip("link", "add", f"to-{self.name}", "type", "veth", "peer", "name", self.name, "netns", there)
        ip("address", "add", f"{self.front}/24", "dev", f"to-{self.name}")
        ip("link", "set", f"to-{self.name}", "up")
        self._ip("address", "add", NET.format(number=number, host=2) + "/24", "dev", self.name)
        self._ip("link", "set", self.name, "up")

    def _ip(self, *words: str) -> None:
        with self.inside():
            ip(*words)


@contextmanager
def network(*names: str) -> Iterator[dict[str, Side]]:
    """Moves this thread to a namespace with nothing but loopback and a link to a side of each name."""
    with ExitStack() as stack:
        home = stack.enter_context(open(HERE_NOW))
        # Back before the descriptor is closed, whatever fails.
        stack.callback(lambda: enter(home.fileno()))
        sides = {}
        for number, name in enumerate(names):
            made = new_namespace()
            stack.callback(os.close, made)
            sides[name] = Side(name, made, NET.format(number=number, host=1))
        os.close(new_namespace())
        ip("link", "set", "lo", "up")
        for number, side in enumerate(sides.values()):
            side.join(number)
        yield sides


def new_namespace() -> int:
    """Moves this thread to a namespace of its own, and holds that by a descriptor."""
    if libc.unshare(CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise MeasurementFailed(f"a network of its own is not allowed here: {reason}; run it as root")
    return os.open(HERE_NOW, os.O_RDONLY)


def enter(namespace: int) -> None:
    """Moves this thread."""
    if libc.setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "cannot enter a network namespace")


def ip(*words: str) -> None:
    """ip(8), of this thread's namespace."""
    said = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if said.returncode:
        raise MeasurementFailed(f"ip {' '.join(words)}: {said.stderr.strip()}")
