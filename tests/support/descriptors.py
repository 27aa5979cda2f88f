"""Too few open files, as a test wants them."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def descriptors(most: int) -> Iterator[None]:
    """No more than so many descriptors can be open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def next_descriptor() -> int:
    """The lowest that is free."""
    fd = os.dup(0)
    os.close(fd)
    return fd
