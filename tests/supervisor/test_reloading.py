"""What a reload takes over, and what it tells about the rest."""

from drawbar.config import Config
from drawbar.config.app_table import AppTable
from drawbar.config.sources import Loaded, load
from drawbar.supervisor.reloading import in_force, later, take_over

UMASK = "process.umask"


def loaded(**variables: str) -> Loaded:
    return load({}, {"DRAWBAR_TARGET": "app:app", **variables})


def shown(found: Loaded, key: str) -> tuple[str, str, str | None]:
    (item,) = (item for item in found.effective if item.setting.key == key)
    return item.setting.show(item.value), item.place, item.waits


def test_what_waits_is_shown_beside_what_is_in_force() -> None:
    first, second = loaded(), loaded(DRAWBAR_UMASK="027", DRAWBAR_WORKERS="3")
    config, kept = take_over(first.config, second.config)
    assert kept == [UMASK]
    assert (config.process.umask, config.server.workers) == (None, 3)
    found = in_force(first, second, kept)
    assert shown(found, UMASK) == ("", "", "027")
    assert shown(found, "server.workers") == ("3", "DRAWBAR_WORKERS", None)
    assert later(UMASK) == "process.umask has changed: an upgrade or a restart will honour it"


def test_what_waited_and_is_wanted_no_more_waits_no_more() -> None:
    first = loaded(DRAWBAR_UMASK="022")
    waiting = in_force(first, loaded(DRAWBAR_UMASK="027"), [UMASK])
    assert shown(waiting, UMASK) == ("022", "DRAWBAR_UMASK", "027")
    again = in_force(waiting, loaded(DRAWBAR_UMASK="077"), [UMASK])
    assert shown(again, UMASK) == ("022", "DRAWBAR_UMASK", "077")
    assert shown(in_force(again, first, []), UMASK) == ("022", "DRAWBAR_UMASK", None)


def test_an_applications_user_stays_as_long_as_the_master() -> None:
    first = Config(apps={"blog": AppTable(user="one", slots=1), "gone": AppTable(user="a")})
    second = Config(apps={"blog": AppTable(user="two", slots=2), "new": AppTable(user="b")})
    config, kept = take_over(first, second)
    assert kept == ["apps.blog.user"]
    assert config.apps == {"blog": AppTable(user="one", slots=2), "new": AppTable(user="b")}
