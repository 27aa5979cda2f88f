"""Ruby files as far as they are lists of settings."""

import pytest

from drawbar.cli.importing.ruby import Block, Call, FromEnvironment, calls


def one(line: str, path: str = "") -> Call:
    (call,) = calls(line, path)
    return call


@pytest.mark.parametrize(
    ("line", "values", "options"),
    [
        ("workers 4", [4], {}),
        ("workers(4)", [4], {}),
        ("wait 0.005", [0.005], {}),
        ("size 1_000", [1000], {}),
        ("threads 1, 5", [1, 5], {}),
        ("quiet", [], {}),
        ("quiet false # why", [False], {}),
        ("max nil", [None], {}),
        ('bind "tcp://0.0.0.0:9292"', ["tcp://0.0.0.0:9292"], {}),
        ("bind 'a # b'", ["a # b"], {}),
        ("use :ThreadPool", ["ThreadPool"], {}),
        ('listen "/a", :backlog => 64, tries: -1', ["/a"], {"backlog": 64, "tries": -1}),
        ("control 'a', { auth_token: 'x' }", ["a"], {"auth_token": "x"}),
        ('workers Integer(ENV["N"] || 3)', [FromEnvironment("N", 3)], {}),
        ('workers ENV.fetch("N") { 2 }', [FromEnvironment("N", 2)], {}),
        ('workers ENV.fetch("N", 2).to_i', [FromEnvironment("N", 2)], {}),
    ],
)
def test_a_call(line: str, values: list[object], options: dict[str, object]) -> None:
    call = one(line)
    assert (call.values, call.options, call.doubt) == (values, options, "")


def test_variables_are_followed() -> None:
    (call,) = calls('most = ENV.fetch("T") { 5 }\nleast = 1\nthreads least, most\n')
    assert call.values == [1, FromEnvironment("T", 5)]


def test_strings_have_variables_in_them() -> None:
    (call,) = calls(
        'dir = File.expand_path("../..", __FILE__)\nbind "unix://#{dir}/a.sock"\n', "/srv/app/config/puma.rb"
    )
    assert call.values == ["unix:///srv/app/a.sock"]


def test_a_block_is_no_list_of_settings() -> None:
    found = calls("on_boot do |worker|\n  workers 9\n  if x\n    y\n  end\nend\nworkers 2\nafter { workers 3 }\n")
    assert [call.name for call in found] == ["on_boot", "workers", "after"]
    assert isinstance(found[0].values[0], Block)
    assert isinstance(found[2].values[0], Block)


def test_rainbows_block_is_one() -> None:
    found = calls("Rainbows! do\n  use :Base\n  keepalive_timeout 7\nend\nworkers 2\n")
    assert [(call.name, call.values) for call in found] == [
        ("use", ["Base"]),
        ("keepalive_timeout", [7]),
        ("workers", [2]),
    ]


def test_lines_go_on() -> None:
    assert one('listen "/a",\n  :backlog => 1\n').options == {"backlog": 1}


@pytest.mark.parametrize(
    ("source", "doubt"),
    [
        ("workers 3 if ENV['X']", "it depends on a condition"),
        ("if a\n  workers 3\nelse\nend", "it depends on a condition"),
        ("workers 2 * 3", "its value is no simple expression"),
        ("workers count", "count is not known here"),
        ("workers ENV['N']", "it is what $N says"),
        ("workers `nproc`", "'`' is not read here"),
    ],
)
def test_what_is_not_simple_is_told(source: str, doubt: str) -> None:
    call = one(source)
    assert (call.name, call.doubt) == ("workers", doubt)
