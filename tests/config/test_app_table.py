"""[apps.NAME]: what contradicts itself in it, and what an application's workers make of it."""

from pathlib import Path

import msgspec
import pytest

from drawbar.config import Config, OperatorError
from drawbar.config.app_table import LAID_OVER, OF_PYTHON, AppTable
from drawbar.config.settings import SETTINGS, settings_of_app
from drawbar.config.sources import load
from drawbar.config.threads import ThreadRange


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test starts in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(directory: Path, text: str) -> Config:
    """The configuration that such a file makes."""
    (directory / "drawbar.toml").write_text(text)
    return load({}, {}).config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'target = "a"\ncommand = ["b"]',
            "apps.blog.target = a (from drawbar.toml) and apps.blog.command = b (from drawbar.toml): a target is "
            "imported, a command is started; give one of the two",
        ),
        ('target = "a"\nmin = 3\nmax = 2', "min is above max"),
        ('target = "a"\nmin = 3', "there is no telling how many there may be; give max as well"),
        ('target = "a"\nworkers = 2\nmax = 3', "a fixed number of processes leaves nothing between min and max"),
        ('target = "a"\nworkers = 2\nmin = 3', "a fixed number of processes leaves nothing between min and max"),
        ('command = ["b"]\nthreads = 4', "threads is for a target: a command is nothing to look into"),
        ('command = ["b"]\npreload = true', "preload is for a target"),
        ('command = ["b"]\nmax_requests = 7', "max_requests is for a target"),
        ("max = 0", "0 is out of range; write a value from 1 to"),
        ("command = []", "[] is no command; write a list such as"),
    ],
)
def test_mistakes_are_told_with_their_place(directory: Path, text: str, message: str) -> None:
    with pytest.raises(OperatorError) as raised:
        written(directory, f"[apps.blog]\n{text}\n")
    assert message in str(raised.value)


def test_a_process_for_each_request_reads_no_body_as_it_comes(directory: Path) -> None:
    with pytest.raises(OperatorError, match="a request's own process starts when its body is there"):
        written(directory, '[app]\nconcurrency = "fork"\n\n[apps.blog]\ntarget = "a"\nstream_input = true\n')


def test_the_front_and_the_workers_of_an_application_stream_its_bodies(directory: Path) -> None:
    config = written(
        directory, '[apps.blog]\ntarget = "a"\nhost = ["b"]\nstream_input = true\n\n[apps.shop]\nprefix = "/s"\n'
    )
    assert [plan.stream_input for plan in config.app_plans()] == [True, None]
    assert config.for_app("blog").app.stream_input
    assert not config.for_app("shop").app.stream_input


def test_what_is_laid_over_a_setting_takes_the_same_values() -> None:
    known = {setting.key: setting for setting in SETTINGS}
    own = {setting.field: setting for setting in settings_of_app("blog")}
    assert set(OF_PYTHON) <= set(LAID_OVER)
    for field, key in LAID_OVER.items():
        mine, general = own[field], known[key]
        assert (mine.kind.form, mine.least, mine.most) == (general.kind.form, general.least, general.most), field
        assert mine.default is None, field


def test_a_table_goes_before_the_general_sections_and_those_before_what_it_leaves_out(directory: Path) -> None:
    config = written(
        directory,
        '[server]\nworkers = 3\n[app]\nthreads = 2\n[timeouts]\nboot = 5\n[process]\numask = "077"\n'
        '[apps.blog]\ntarget = "blog:app"\nchdir = "/srv/blog"\nworkers = 2\nlabel = "v8"\nslots = 9\nboot = 7\n'
        '[apps.shop]\ntarget = "shop"\nprefix = "/shop"\n',
    )
    blog, shop = config.for_app("blog"), config.for_app("shop")
    assert (blog.app.target, blog.app.chdir, blog.app.threads) == ("blog:app", "/srv/blog", ThreadRange(2, 2))
    assert (blog.server.workers, blog.timeouts.boot, blog.process.umask) == (2, 7.0, 0o077)
    assert (blog.work.app, blog.work.label, blog.work.slots) == ("blog", "v8", 9)
    assert (shop.app.target, shop.server.workers, shop.timeouts.boot, shop.work.label) == ("shop", 3, 5.0, None)
    assert set(blog.apps) == {"blog"}


def test_an_application_without_a_table_is_as_the_general_sections_say() -> None:
    config = load({"app.target": "x:app"}, {}).config
    only = config.for_app("app")
    assert (only.app, only.server, only.work.app) == (config.app, config.server, "app")


def test_with_a_maximum_it_starts_with_what_is_kept() -> None:
    config = Config(apps={"a": AppTable(max=4), "b": AppTable(min=0, max=1), "c": AppTable(min=2, max=2)})
    assert [config.for_app(name).server.worker_count(8) for name in "abc"] == [1, 0, 2]


def test_a_command_takes_the_place_of_the_target() -> None:
    table = AppTable(command=("ruby", "worker.rb"))
    asked = {"app.target": "x:app", "lifecycle.preload": "true", "lifecycle.max_requests": "9"}
    config = msgspec.structs.replace(load(asked, {}).config, apps={"shop": table})
    own = config.for_app("shop")
    assert own.app.target is None
    assert own.apps["shop"].command == ("ruby", "worker.rb")
    # What only a worker of ours can do is not asked of it, whatever the general sections say.
    assert (own.lifecycle.preload, own.lifecycle.max_requests, own.timeouts.liveness) == (False, 0, 0.0)


def test_a_user_of_its_own_has_its_own_group(directory: Path) -> None:
    config = written(
        directory,
        '[process]\nuser = "www"\ngroup = "www"\nnice = 5\n[apps.blog]\nuser = "blog"\nnice = 10\nmemory = "64m"\n'
        '[apps.shop]\nprefix = "/shop"\n[apps.news]\nprefix = "/news"\ngroup = "news"\n',
    )
    blog, shop, news = (config.for_app(name).process for name in ("blog", "shop", "news"))
    assert (blog.user, blog.group, blog.nice, blog.memory) == ("blog", None, 10, 64 << 20)
    assert (shop.user, shop.group, shop.nice, shop.memory) == ("www", "www", 5, None)
    assert (news.user, news.group) == ("www", "news")


def test_another_root_hides_the_front(directory: Path) -> None:
    written(directory, '[process]\nchroot = "/srv"\n[apps.blog]\nprefix = "/blog"\n')
    with pytest.raises(OperatorError, match=r"the processes of blog would not find the front from there"):
        written(directory, '[process]\nchroot = "/srv"\n[apps.blog]\ntarget = "blog"\n')


def test_a_setting_is_looked_for_where_it_stands() -> None:
    config = Config(apps={"blog": AppTable(target="blog", chdir="/srv/blog")})
    blog = config.for_app("blog")
    assert blog.place("chdir", "app.chdir") == "apps.blog.chdir"
    assert blog.place("user", "--user") == "--user"
    assert config.for_app("shop").place("chdir", "app.chdir") == "app.chdir"
