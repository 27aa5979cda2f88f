"""Files of other servers, and what is no text."""

from pathlib import Path

import pytest

from drawbar.cli.importing.text_file import read_text
from drawbar.config import OperatorError


def test_reads_what_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("zwölf\n", encoding="utf-8")
    assert read_text(str(tmp_path / "file")) == "zwölf\n"


@pytest.mark.parametrize(("data", "why"), [(None, "No such file or directory"), (b"\xff", "invalid start byte")])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, data: bytes | None, why: str) -> None:
    path = tmp_path / "file"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(OperatorError, match=why) as raised:
        read_text(str(path))
    assert raised.value.where == str(path)
