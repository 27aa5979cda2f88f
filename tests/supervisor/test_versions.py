"""What a deploy has made of an application's workers, laid over what the configuration says."""

import pytest

from drawbar.config import AppConfig, Config
from drawbar.config.app_table import AppTable
from drawbar.config.work import WorkConfig
from drawbar.supervisor.versions import Version, as_configured, in_force, label_of, laid_over, to_be_written

BLOG = Config(apps={"blog": AppTable(target="blog:app", chdir="/srv/v7", label="v7", workers=2)})
V8 = Version("v8", "v7", chdir="/srv/v8")


def test_a_version_is_laid_over_its_table() -> None:
    table = laid_over(BLOG, {"blog": V8}).apps["blog"]
    assert table == AppTable(target="blog:app", chdir="/srv/v8", label="v8", workers=2)


@pytest.mark.parametrize(
    ("version", "target", "command"),
    [
        (Version("v8", "v7", command=("ruby", "worker.rb")), None, ("ruby", "worker.rb")),
        (Version("v8", "v7", target="other:app"), "other:app", None),
    ],
)
def test_a_target_and_a_command_take_each_others_place(
    version: Version, target: str | None, command: tuple[str, ...] | None
) -> None:
    table = laid_over(BLOG, {"blog": version}).apps["blog"]
    assert (table.target, table.command) == (target, command)


def test_an_application_without_a_table_gets_one() -> None:
    version = Version("v8", None, target="shop:app", workers=3)
    assert laid_over(BLOG, {"shop": version}).apps["shop"] == AppTable(target="shop:app", label="v8", workers=3)


def test_a_version_holds_until_the_configuration_names_another_label() -> None:
    assert in_force(BLOG, {"blog": V8}) == {"blog": V8}
    newer = Config(apps={"blog": AppTable(target="blog:app", label="v9")})
    assert in_force(newer, {"blog": V8}) == {}


def test_a_label_may_stand_in_the_general_section() -> None:
    config = Config(
        app=AppConfig(target="site:app"), work=WorkConfig(label="v3"), apps={"app": AppTable(target="site:app")}
    )
    assert label_of(config, "app") == "v3"
    assert label_of(config, "elsewhere") is None
    assert as_configured(config, "app") == Version("v3", "v3")


def test_what_the_configuration_must_say_is_written_as_it_has_it() -> None:
    assert to_be_written("blog", as_configured(BLOG, "blog"), BLOG) is None
    assert to_be_written("blog", V8, BLOG) == '[apps.blog] label = "v8", chdir = "/srv/v8"'
