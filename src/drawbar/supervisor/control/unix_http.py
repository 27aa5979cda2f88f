"""HTTP over a Unix socket, for whoever asks: the command line a server, and a control process a front."""

import http.client
import socket


class UnixConnection(http.client.HTTPConnection):
    """Waits `timeout_s` for each step of an answer, and `connect_s`, by default as long, for the connection."""

    def __init__(self, path: str, timeout_s: float, connect_s: float | None = None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path
        self._timeout_s = timeout_s
        self._connect_s = timeout_s if connect_s is None else connect_s

    def connect(self) -> None:
        """Raises OSError, and leaves no socket behind."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._connect_s)
        try:
            self.sock.connect(self.path)
        except OSError:
            self.sock.close()
            raise
        self.sock.settimeout(self._timeout_s)
