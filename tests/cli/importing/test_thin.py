"""thin: its YAML and its command line."""

from pathlib import Path

import pytest

from drawbar.cli.importing.thin import THIN_FLAGS, THIN_RULES
from drawbar.config import OperatorError
from tests.cli.importing.imported import from_file, from_line


def test_every_option_has_a_rule() -> None:
    assert {flag.name for flag in THIN_FLAGS.values()} <= set(THIN_RULES)


def test_a_whole_file(tmp_path: Path) -> None:
    done = from_file(
        tmp_path / "thin.yml",
        "---\n# a comment\nchdir: /srv/app\naddress: 127.0.0.1\nport: 3000\ntimeout: 30\nmax_conns: 1024\n"
        'servers: 3\nlog: "log/thin.log"\nthreaded: true\nrequire:\n  - a\n  - b\nenvironment: production\n',
    )
    assert done.settings == {
        "server.bind": "127.0.0.1:3000",
        "server.workers": "3",
        "app.env": "RACK_ENV=production",
        "app.chdir": "/srv/app",
        "app.threads": "1:20",
        "limits.connections": "1024",
        "timeouts.keepalive": "30s",
        "log.error": "log/thin.log",
    }
    assert [line.split(":")[0] for line in done.missing] == ["require = a, b"]


def test_the_command_line(tmp_path: Path) -> None:
    done = from_line("thin -s 3 -S /run/thin.sock -d -l /var/log/t --strange start", tmp_path)
    assert done.settings["server.bind"] == "unix:/run/thin.sock"
    assert done.settings["app.threads"] == "1"
    assert done.unknown == ["--strange: no setting of thin's is called so"]


def test_a_line_that_is_no_setting_is_the_operators(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"thin\.yml: line 1 is no setting: <%= x %>; write key: value"):
        from_file(tmp_path / "thin.yml", "<%= x %>\n")
