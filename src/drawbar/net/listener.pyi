"""Types of the native module `listener`."""

import socket

from drawbar.net.reactor import Reactor

class Connector: ...

def listen(reactor: Reactor, socket: socket.socket, connector: Connector, *, exclusive: bool = ...) -> None: ...
def adopt(reactor: Reactor, fd: int, connector: Connector) -> None: ...
