"""An import, read back: what `drawbar check` would make of it, and what was remarked."""

import re
from collections.abc import Sequence
from pathlib import Path

from drawbar.cli.importing import translate
from drawbar.config import Config
from drawbar.config.sources import load


class Imported:
    """The text of an import. Making one fails unless the text is a valid drawbar.toml."""

    def __init__(self, text: str, folder: Path) -> None:
        self.text = text
        file = folder / "drawbar.toml"
        file.write_text(text)
        loaded = load({}, {}, file=str(file))
        self.config: Config = loaded.config
        self.settings = {item.setting.key: item.setting.show(item.value) for item in loaded.changed()}
        self.remarks: dict[str, list[str]] = {}
        heading = ""
        for line in text.splitlines():
            if re.match(r"# [A-Z].*:$", line):
                heading = line[2:-1]
                self.remarks[heading] = []
            elif line.startswith("#   "):
                self.remarks[heading].append(line[4:])

    @property
    def different(self) -> list[str]:
        """What was taken over with a difference."""
        return self.remarks.get("Taken over, but it works differently", [])

    @property
    def missing(self) -> list[str]:
        """What has no counterpart."""
        return self.remarks.get("No counterpart", [])

    @property
    def needless(self) -> list[str]:
        """What is not needed any more."""
        return self.remarks.get("Not needed any more", [])

    @property
    def unknown(self) -> list[str]:
        """What was not understood."""
        return self.remarks.get("Not understood", [])


def from_file(path: Path, content: str, kind: str | None = None) -> Imported:
    """What becomes of a file with that content."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return Imported(translate([str(path)], kind=kind), path.parent)


def from_line(line: str | Sequence[str], folder: Path) -> Imported:
    """What becomes of a command line."""
    return Imported(translate([], line.split() if isinstance(line, str) else line), folder)
