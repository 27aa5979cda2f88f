"""Types of the native module `proxy_header`."""

from typing import Literal

def parse(data: bytes, /) -> tuple[int, Literal["local", "unknown"] | tuple[bytes, int]] | None: ...
