"""Asking and telling a running server: the control socket, its HTTP API, metrics and probes.

The master speaks no HTTP. Its part is the `desk`: it watches the listening sockets and, when somebody knocks, forks
the control process, as inetd would. That process (`process`, `api`, `status`, `metrics`) speaks HTTP, reads figures
from the scoreboard, and asks the master the rest in short JSON messages (`messages`, `line`). It ends when nobody has
come for a while: what is not asked costs nothing.
"""
