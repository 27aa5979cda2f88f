"""What is asked of an exchange by those who only tell of it: log lines, error pages."""

from __future__ import annotations

from typing import Protocol

from drawbar.exchange.log_files import LogFiles

Address = tuple[str, int]


class Asked(Protocol):
    """Who asked for what."""

    @property
    def method(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def remote(self) -> Address | None: ...


class Shown(Asked, Protocol):
    """The request, for a page that shows it."""

    @property
    def http_version(self) -> str: ...
    @property
    def headers(self) -> list[tuple[str, str]]: ...


class Logged(Asked, Protocol):
    """A finished exchange, for the access log."""

    @property
    def log_files(self) -> LogFiles | None: ...
    @property
    def http_version(self) -> str: ...
    @property
    def status_code(self) -> int: ...
    @property
    def body_bytes(self) -> int: ...
    @property
    def duration_ns(self) -> int: ...
    @property
    def client_ns(self) -> int: ...
    @property
    def queue_ns(self) -> int: ...
    @property
    def app_ns(self) -> int | None: ...
    @property
    def complete(self) -> bool: ...
    def header(self, name: bytes) -> str | None: ...
