"""Which teams a configuration of a front has, and what their workers are told."""

import pytest

from drawbar.config import (
    AppConfig,
    Config,
    LifecycleConfig,
    LogConfig,
    ProcessConfig,
    ServerConfig,
)
from drawbar.config.app_table import AppTable
from drawbar.config.apps import FrontConfig
from drawbar.config.mounts import Mount
from drawbar.supervisor.front.trade import as_front
from drawbar.supervisor.split import has_workers, is_alone, most_workers, team_specs, with_only_app
from drawbar.supervisor.team import TeamSpec

ONE = Config(server=ServerConfig(split=True, workers=3), app=AppConfig(target="hello:app"))
SEVERAL = Config(
    server=ServerConfig(split=True),
    log=LogConfig(access="-"),
    apps={
        "blog": AppTable(target="blog:app", workers=2, label="v7"),
        "shop": AppTable(prefix="/shop", target="shop:app", min=1, max=5),
        "old": AppTable(prefix="/old"),
    },
)


def specs(config: Config) -> list[TeamSpec]:
    return team_specs(config, lambda *arguments: pytest.fail("nothing runs"), lambda app: f"/run/{app}.sock")


def test_a_target_alone_is_the_application_and_has_all_requests() -> None:
    config = with_only_app(
        Config(
            server=ONE.server,
            app=ONE.app,
            front=FrontConfig(apps=(Mount("other", "", "/x"),)),
            apps={"blog": AppTable(target="blog:app")},
        )
    )
    assert [(plan.name, plan.hosts, plan.prefix) for plan in config.app_plans()] == [("app", (), "")]
    (spec,) = specs(config)
    assert (spec.app, spec.label, spec.workers, spec.config.app.target) == ("app", None, 3, "hello:app")
    assert is_alone(config)


def test_without_a_target_the_tables_say_what_there_is() -> None:
    assert with_only_app(SEVERAL) is SEVERAL
    assert [(spec.app, spec.label, spec.workers) for spec in specs(SEVERAL)] == [("blog", "v7", 2), ("shop", None, 1)]
    assert not is_alone(SEVERAL)
    assert has_workers(SEVERAL)
    assert not has_workers(Config(server=ServerConfig(split=True), apps={"old": AppTable()}))


def test_one_application_among_those_pulled_from_elsewhere_is_not_alone() -> None:
    assert not is_alone(Config(apps={"blog": AppTable(target="blog:app"), "old": AppTable(prefix="/old")}))


def test_room_is_made_for_as_many_as_there_may_come_to_be() -> None:
    assert [most_workers(SEVERAL, spec) for spec in specs(SEVERAL)] == [2, 5]


def test_workers_dial_their_own_socket_and_leave_the_access_log_to_the_front() -> None:
    blog, shop = specs(SEVERAL)
    assert [str(front) for front in blog.config.work.front] == ["unix:/run/blog.sock"]
    assert (blog.config.work.app, blog.config.work.label) == ("blog", "v7")
    assert (shop.config.work.app, shop.config.work.label) == ("shop", None)
    assert {spec.config.log.access for spec in (blog, shop)} == {"off"}
    assert [spec.trade.title(1) for spec in (blog, shop)] == ["drawbar: blog v7 worker 1", "drawbar: shop worker 1"]
    assert {spec.trade.comm for spec in (blog, shop)} == {"drawbar-worker"}


def test_a_front_is_one_process_and_keeps_the_limits_of_workers_to_them() -> None:
    config = Config(
        server=ServerConfig(split=True, workers=3, reload=True),
        lifecycle=LifecycleConfig(preload=True, max_requests=5, max_memory=1 << 30, max_age=60.0),
        process=ProcessConfig(user="nobody", memory=1 << 30, nice=5),
    )
    front = as_front(config, is_alone=False)
    assert (front.server.workers, front.server.reload) == (1, False)
    assert front.lifecycle == LifecycleConfig()
    assert front.process == ProcessConfig(user="nobody")
    # One without workers here has no other process that they could be for.
    assert as_front(config, is_alone=True).process == config.process
