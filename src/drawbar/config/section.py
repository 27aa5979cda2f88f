"""What every section of the tree has in common.

A section is a frozen Struct; its docstring heads its part of the help and of the manual, its fields are its settings.
"""

from collections.abc import Iterator
from typing import ClassVar

import msgspec

OF_WORKERS = ("run", "dev", "check", "work")
"""The commands whose processes call an application."""

OF_FRONTS = ("serve", "run")
"""The commands that have queues, the latter with several applications or --split."""


class Conflict(msgspec.Struct, frozen=True):
    """Settings that are each valid and do not go together, and why: field names in one section, keys in the tree."""

    fields: tuple[str, ...]
    why: str


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the sections: `OPTION` is the pattern of its options' names, COMMANDS whose options; empty: all's."""

    OPTION: ClassVar[str] = "{}"
    COMMANDS: ClassVar[tuple[str, ...]] = ()

    def conflicts(self) -> Iterator[Conflict]:
        """What in this section contradicts itself."""
        return iter(())
