"""The applications behind a front."""

from pathlib import Path

import pytest

from drawbar.config import Config, OperatorError
from drawbar.config.app_table import AppTable
from drawbar.config.apps import plan_apps
from drawbar.config.mounts import Mount, Preference, parse_mount, parse_preference
from drawbar.config.queue import QueueConfig
from drawbar.config.sources import Origin, load


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test starts in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("blog=blog.example.org/", Mount("blog", "blog.example.org", "")),
        ("blog=Blog.Example.org", Mount("blog", "blog.example.org", "")),
        ("shop=/shop/", Mount("shop", "", "/shop")),
        ("all=*.example.org/a/b", Mount("all", "*.example.org", "/a/b")),
        ("site=", Mount("site", "", "")),
        ("site", Mount("site", "", "")),
        ("six=[2001:db8::1]/x", Mount("six", "[2001:db8::1]", "/x")),
    ],
)
def test_mounts(text: str, mount: Mount) -> None:
    assert parse_mount(text) == mount
    assert parse_mount(str(mount)) == mount


@pytest.mark.parametrize(
    "text", ["", "=x", "a b=", "a=host:80/", "a=b@c", "a=/x?y", "a=//x", f"{'n' * 65}=/", "a=b*c/"]
)
def test_what_is_no_mount_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="write NAME=HOST/PREFIX"):
        parse_mount(text)


def test_priorities() -> None:
    assert parse_preference("/api=0") == Preference("/api", 0)
    for text in ("/api", "/api=4", "/api=-1", "api=1", "=", "/a=x"):
        with pytest.raises(ValueError, match="write"):
            parse_preference(text)


def test_without_any_there_is_one_that_takes_all() -> None:
    (plan,) = Config().app_plans()
    assert (plan.name, plan.hosts, plan.prefix, plan.length) == ("app", (), "", 1000)


def test_a_table_goes_before_mounts_and_before_what_all_queues_have() -> None:
    mounts = [Mount("a", "one.org", ""), Mount("b", "", "/b"), Mount("a", "two.org", "")]
    tables = {"b": AppTable(prefix="/c", queue_length=5, deadline=3.0), "d": AppTable(host=("d.org",))}
    first, second, third = plan_apps(mounts, tables, QueueConfig(length=7, time=2.0))
    assert (first.name, first.hosts, first.prefix, first.length) == ("a", ("one.org", "two.org"), "", 7)
    assert (second.name, second.prefix, second.length, second.deadline, second.time) == ("b", "/c", 5, 3.0, 2.0)
    assert (third.name, third.hosts) == ("d", ("d.org",))


def test_tables_come_from_the_file(directory: Path) -> None:
    (directory / "drawbar.toml").write_text(
        '[apps.blog]\nhost = ["blog.org"]\npriority = ["/feed=3"]\n[apps.shop]\nprefix = "/shop"\n'
    )
    loaded = load({"front.apps": "blog=/b"}, {})
    assert loaded.config.apps == {
        "blog": AppTable(host=("blog.org",), priority=(Preference("/feed", 3),)),
        "shop": AppTable(prefix="/shop"),
    }
    said = {item.setting.key: item for item in loaded.changed()}
    assert said["apps.blog.host"].origin is Origin.FILE
    assert "apps.blog.attempts" not in said
    assert [plan.name for plan in loaded.config.app_plans()] == ["blog", "shop"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apps = 1", "drawbar.toml: apps: is not a table; write [apps] above its keys"),
        ("[apps]\nblog = 1", "drawbar.toml: apps.blog: is not a table; write [apps.blog] above its keys"),
        ("[apps]\ntarget = 'a:b'", "drawbar.toml: apps.target: is not a table; write [apps.NAME], a table for each"),
        ("[app.blog]\ntarget = 'a:b'", "drawbar.toml: app.blog: no such key; did you mean [apps.blog]? [app] takes"),
        ("[apps.blog]\nhots = []", "drawbar.toml: apps.blog.hots: no such key; did you mean host? [apps.blog] takes"),
        ('[apps."a b"]\n', "drawbar.toml: apps.a b: 'a b' is not a name; write"),
        (
            "[apps.front]\n",
            "drawbar.toml: apps.front: the front itself is called front; call the application something",
        ),
        (
            '[front]\napps = "front=/a"',
            "drawbar.toml: front.apps: the front itself is called front; call the application",
        ),
        (
            "[apps.blog]\nqueue_length = 0",
            "drawbar.toml: apps.blog.queue_length: 0 is out of range; write a value from 1",
        ),
        ("[apps.a]\nqueue_time = 9\ndeadline = 8", "a request that waits that long is past its deadline already"),
    ],
)
def test_mistakes_name_their_place(directory: Path, text: str, message: str) -> None:
    (directory / "drawbar.toml").write_text(text)
    with pytest.raises(OperatorError) as raised:
        load({}, {})
    assert message in str(raised.value)


def test_two_applications_do_not_share_a_place() -> None:
    with pytest.raises(OperatorError, match=r"a and b both claim x\.org/y; tell them apart by host or prefix"):
        load({"front.apps": "a=x.org/y,b=x.org/y"}, {})


def test_the_api_is_not_shown_to_other_machines_without_a_token() -> None:
    load({"api.bind": "127.0.0.1:1,[::1]:1,localhost:1,127.9.9.9:1,unix:/x"}, {})
    load({"api.bind": "0.0.0.0:4242", "api.token_file": "tokens"}, {})
    for bind in ("0.0.0.0:4242", ":4242", "10.0.0.1:1", "127.0.0.1.example.org:1", "example.org:1"):
        with pytest.raises(OperatorError, match=r"can be reached from other machines.*write --api-token-file PATH"):
            load({"api.bind": bind}, {})


def test_a_command_may_have_defaults_that_everything_else_goes_before() -> None:
    defaults = {"server.bind": "0.0.0.0:8080"}
    loaded = load({}, {}, defaults=defaults, command="drawbar serve")
    assert [str(bind) for bind in loaded.config.server.bind] == ["0.0.0.0:8080"]
    (item,) = loaded.changed()
    assert (item.origin, item.place) == (Origin.DEFAULT_OF_COMMAND, "drawbar serve")
    assert [str(bind) for bind in load({}, {"DRAWBAR_BIND": ":1"}, defaults=defaults).config.server.bind] == [":1"]
