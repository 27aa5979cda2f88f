"""The tree as a whole."""

import pytest

from drawbar.config.section import Section
from drawbar.config.settings import sections


@pytest.mark.parametrize("section", sections().values())
def test_the_defaults_do_not_contradict_each_other(section: type[Section]) -> None:
    assert list(section().conflicts()) == []
