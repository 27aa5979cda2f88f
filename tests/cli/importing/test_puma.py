"""puma: config/puma.rb and its command line."""

from pathlib import Path

from drawbar.cli.importing.puma import PUMA_FLAGS, PUMA_RULES
from tests.cli.importing.imported import from_file, from_line


def test_every_option_has_a_rule() -> None:
    known = {"redirect_stdout", *PUMA_RULES}
    assert {flag.name for flag in PUMA_FLAGS.values()} <= known


def test_the_file_every_new_rails_application_has(tmp_path: Path) -> None:
    done = from_file(
        tmp_path / "puma.rb",
        'max_threads_count = ENV.fetch("RAILS_MAX_THREADS") { 5 }\n'
        'min_threads_count = ENV.fetch("RAILS_MIN_THREADS") { max_threads_count }\n'
        "threads min_threads_count, max_threads_count\n"
        'worker_timeout 3600 if ENV.fetch("RAILS_ENV", "development") == "development"\n'
        'port ENV.fetch("PORT") { 3000 }\n'
        'environment ENV.fetch("RAILS_ENV") { "development" }\n'
        'pidfile ENV.fetch("PIDFILE") { "tmp/pids/server.pid" }\n'
        'workers ENV.fetch("WEB_CONCURRENCY") { 2 }\n'
        "preload_app!\n"
        "plugin :tmp_restart\n",
    )
    assert done.settings == {
        "server.bind": "0.0.0.0:3000",
        "app.env": "RACK_ENV=development",
        "app.threads": "5",
        "lifecycle.preload": "true",
        "process.pid_file": "tmp/pids/server.pid",
    }
    assert "$WEB_CONCURRENCY: it says the number of workers here too, as long as no setting does" in done.different
    assert any(line.startswith("$PORT: ") for line in done.different)
    assert [line.split(" = ")[0] for line in done.missing] == ["plugin"]
    assert [line.split(" = ")[0] for line in done.unknown] == ["worker_timeout"]


def test_addresses_and_what_stands_behind_them(tmp_path: Path) -> None:
    done = from_file(
        tmp_path / "puma.rb",
        'bind "unix:///run/a.sock?backlog=512&umask=0117"\nbind "tcp://[::1]:9292"\nport 3000, "127.0.0.1"\n'
        "ssl_bind '0.0.0.0', 443\nthreads 0, 16\n",
    )
    assert done.settings == {
        "server.bind": "unix:/run/a.sock,[::1]:9292,127.0.0.1:3000",
        "server.backlog": "512",
        "server.unix_mode": "0660",
        "app.threads": "1:16",
    }
    assert done.missing == ["ssl_bind = 0.0.0.0, 443: TLS is the proxy's in front"]


def test_what_puma_has_under_other_names(tmp_path: Path) -> None:
    done = from_file(
        tmp_path / "puma.rb",
        "fork_worker\npersistent_timeout 20\nmax_keep_alive 50\nworker_shutdown_timeout 9\n"
        "set_remote_address proxy_protocol: :v1\nactivate_control_app 'unix:///run/c.sock', { no_token: true }\n"
        "enable_keep_alives true\nlog_requests\nhttp_content_length_limit 1024\nout_of_band { GC.start }\n",
    )
    assert done.settings == {
        "server.bind": "0.0.0.0:9292",
        "lifecycle.preload": "true",
        "lifecycle.refork": "1000",
        "limits.body_bytes": "1k",
        "limits.keepalive_requests": "50",
        "timeouts.keepalive": "20s",
        "timeouts.graceful": "9s",
        "log.access": "-",
        "control.socket": "/run/c.sock",
    }
    assert [line.split(":")[0] for line in done.missing] == [
        "set_remote_address = proxy_protocol",
        "out_of_band = a block",
    ]


def test_the_command_line(tmp_path: Path) -> None:
    done = from_line("bundle exec puma -b tcp://0.0.0.0:80 -w 2 -t 1:5 --preload config.ru", tmp_path)
    assert done.settings == {
        "server.bind": "0.0.0.0:80",
        "server.workers": "2",
        "app.threads": "1:5",
        "lifecycle.preload": "true",
    }
    assert done.missing == ["application = config.ru: Drawbar runs Python: name its application, app.target"]
