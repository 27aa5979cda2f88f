"""What hooks are told: the types of their only argument, for annotations in applications.

Public and stable: a release may add fields and types, and takes none away before a major version. They are values,
without a way back into the server. Nothing of the server is imported here, so that naming them costs nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class ForkServer(msgspec.Struct, frozen=True, kw_only=True):
    """To before_fork: the process the workers are forked from."""

    pid: int
    app: str
    """The application's full name, "module:attribute"."""
    interface: Literal["wsgi", "asgi"]
    refork: bool
    """It was a worker and has served requests: connections to databases and the like are open."""


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """To after_fork, worker_ready, worker_exit and out_of_band: the worker they are called in."""

    pid: int
    slot: int
    """From 1 to the number of workers. A worker's replacement has its slot."""
    app: str
    """The application's full name, "module:attribute"."""
    interface: Literal["wsgi", "asgi"]


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """To before_exec: the process that is about to become the new master."""

    pid: int
    old_master: int
    """Process id of the master that serves on until the new one does."""


class FinishedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """To request_finished: what is known of a request whose response has been handed on."""

    method: str
    target: str
    """As the client wrote it, with its query."""
    status: int
    """0: nothing was sent."""
    bytes: int
    """Of the response's body, handed on."""
    duration_ms: float
    """From the request's head to the response's last byte."""
    client: str | None
    """Its address; None over a Unix socket."""
    complete: bool
    """False: the response broke off, or the client left."""
    slot: int
    """The worker's."""
