"""The tree as a whole."""

import pytest

from drawbar.config import Config
from drawbar.config.hooks import HooksConfig
from drawbar.config.lifecycle import LifecycleConfig
from drawbar.config.section import Section
from drawbar.config.settings import sections


@pytest.mark.parametrize("section", sections().values())
def test_the_defaults_do_not_contradict_each_other(section: type[Section]) -> None:
    assert list(section().conflicts()) == []
    assert list(Config().conflicts()) == []


def test_a_hook_of_the_fork_server_wants_a_fork_server() -> None:
    hooks = HooksConfig(before_fork="site_hooks:close")
    assert list(Config(hooks=hooks, lifecycle=LifecycleConfig(preload=True)).conflicts()) == []
    (conflict,) = Config(hooks=hooks).conflicts()
    assert conflict.fields == ("hooks.before_fork", "lifecycle.preload")
