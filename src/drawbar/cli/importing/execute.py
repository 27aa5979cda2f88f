"""Runs a configuration file that is Python, and writes its names and values as JSON to a descriptor.

A process of its own (`python -m drawbar.cli.importing.execute FILE FD`), for such a file may do anything: whatever it
imports, prints or changes ends with the process. It is no sandbox: only files one would start a server with are for it.
"""

import json
import os
import runpy
import sys
import types


def plain(value: object) -> object:
    """`value` as JSON has it; what JSON has not is told by its representation."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, types.FunctionType):
        return f"the function {value.__qualname__}"
    if callable(value):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return str(value)


def settings(path: str) -> dict[str, object]:
    """The names a file defines, without modules and private ones."""
    found = runpy.run_path(path, run_name="__config__")
    return {
        name: plain(value)
        for name, value in found.items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }


if __name__ == "__main__":
    with os.fdopen(int(sys.argv[2]), "w") as stream:
        json.dump(settings(sys.argv[1]), stream)
