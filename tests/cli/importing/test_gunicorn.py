"""gunicorn: its file, its command line, and every setting it has."""

from pathlib import Path

import pytest

from drawbar.cli.importing.gunicorn import FLAGS, RULES
from drawbar.config import OperatorError
from tests.cli.importing.imported import Imported, from_file, from_line

# The reference of gunicorn 27 ("Settings"), and what older ones had.
NAMES = """
    config wsgi_app bind backlog workers worker_class threads worker_connections max_requests max_requests_jitter
    timeout graceful_timeout keepalive limit_request_line limit_request_fields limit_request_field_size reload
    reload_engine reload_extra_files spew check_config print_config preload_app sendfile reuse_port chdir daemon raw_env
    pidfile worker_tmp_dir user group umask initgroups tmp_upload_dir secure_scheme_headers forwarded_allow_ips
    accesslog disable_redirect_access_to_syslog access_log_format errorlog loglevel capture_output logger_class
    logconfig logconfig_dict logconfig_json syslog_addr syslog syslog_prefix syslog_facility enable_stdio_inheritance
    statsd_host dogstatsd_tags statsd_prefix enable_backlog_metric proc_name default_proc_name pythonpath paste
    on_starting on_reload when_ready pre_fork post_fork post_worker_init worker_int worker_abort pre_exec pre_request
    post_request child_exit worker_exit nworkers_changed on_exit ssl_context proxy_protocol proxy_allow_ips protocol
    uwsgi_allow_ips keyfile certfile ssl_version cert_reqs ca_certs suppress_ragged_eofs do_handshake_on_connect ciphers
    http_protocols http2_cleartext http2_max_concurrent_streams http2_initial_window_size http2_max_frame_size
    http2_max_header_list_size raw_paste_global_conf permit_obsolete_folding strip_header_spaces
    permit_unconventional_http_method permit_unconventional_http_version casefold_http_method forwarder_headers
    header_map asgi_loop asgi_lifespan asgi_disconnect_grace_period websocket_max_message_size http_parser root_path
    dirty_apps dirty_workers dirty_timeout dirty_threads dirty_graceful_timeout on_dirty_starting dirty_post_fork
    dirty_worker_init dirty_worker_exit control_socket control_socket_mode control_socket_disable
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gunicorn.conf.py"


def test_every_setting_is_taken_over_or_explained() -> None:
    assert set(RULES) == set(NAMES.split())


def test_every_option_is_one_of_a_setting() -> None:
    assert {flag.name for flag in FLAGS.values()} <= set(RULES)


def test_a_whole_file(path: Path) -> None:
    done = from_file(
        path,
        "import os\n"
        'bind = ["0.0.0.0:8000", "unix:/run/a.sock", "[::1]:9000", "localhost", "fd://3"]\n'
        "workers = 2 + 1\n"
        "worker_class = 'gthread'\n"
        "threads = 4\n"
        "timeout = 45\n"
        "keepalive = 5\n"
        "umask = 0o022\n"
        "user = 33\n"
        "loglevel = 'critical'\n"
        "accesslog = '-'\n"
        "certfile = None\n"
        "worker_tmp_dir = '/dev/shm'\n"
        "statsd_host = 'localhost:8125'\n"
        "helper = 1\n"
        "wsgi_app = 'shop.wsgi'\n"
        "def post_fork(server, worker): pass\n",
    )
    assert done.settings == {
        "server.bind": "0.0.0.0:8000,unix:/run/a.sock,[::1]:9000,localhost:8000,fd://3",
        "server.workers": "3",
        "app.target": "shop.wsgi",
        "app.threads": "1:4",
        "timeouts.keepalive": "5s",
        "timeouts.liveness": "45s",
        "log.level": "error",
        "log.access": "-",
        "process.user": "33",
        "process.umask": "022",
    }
    assert [line.split(":")[0] for line in done.missing] == [
        "statsd_host = localhost",
        "post_fork = the function post_fork",
    ]
    assert 'hooks.after_fork = "module:function"' in done.missing[1]
    assert [line.split(":")[0] for line in done.needless] == ["worker_tmp_dir = /dev/shm"]
    assert [line.split(":")[0] for line in done.unknown] == ["helper = 1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {"app.threads": "1"}),
        (["-k", "sync", "-t", "20"], {"app.threads": "1", "timeouts.request": "20s"}),
        (["--threads", "3", "-t", "20"], {"app.threads": "1:3", "timeouts.liveness": "20s"}),
        (
            ["-k", "gevent", "--worker-connections", "100"],
            {"app.concurrency": "greenlets", "limits.connections": "100"},
        ),
        (["-k", "uvicorn.workers.UvicornWorker"], {"app.interface": "asgi"}),
        (["-k", "uvicorn_worker.UvicornH11Worker"], {"app.interface": "asgi", "app.loop": "asyncio"}),
        (["-k", "egg:gunicorn#eventlet"], {"app.concurrency": "greenlets"}),
        (["-k", "tornado"], {}),
    ],
)
def test_the_class_of_worker_decides(tmp_path: Path, words: list[str], expected: dict[str, str]) -> None:
    done = from_line(["gunicorn", *words, "a:app"], tmp_path)
    assert done.settings == {"app.target": "a:app"} | expected


def test_a_class_that_is_not_known_is_told(tmp_path: Path) -> None:
    assert from_line(["gunicorn", "-k", "tornado", "a:app"], tmp_path).missing == [
        "worker_class = tornado: app.concurrency is inline, threads, tasks, greenlets or fork"
    ]


def test_a_call_becomes_a_factory(tmp_path: Path) -> None:
    done = from_line(["gunicorn", "a:make()"], tmp_path)
    assert (done.config.app.target, done.config.app.factory) == ("a:make", True)
    assert from_line(["gunicorn", 'a:make("x")'], tmp_path).missing[0].startswith('application = a:make("x"): ')


def test_the_command_line_goes_before_the_variable_and_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("workers = 2\nbacklog = 100\nthreads = 2\n")
    monkeypatch.chdir(path.parent)
    line = ["GUNICORN_CMD_ARGS=--workers=3 --threads=5", "gunicorn", "-w", "4", "a:app"]
    done = from_line(line, path.parent)
    assert (done.settings["server.workers"], done.settings["app.threads"]) == ("4", "1:5")
    assert done.settings["server.backlog"] == "100"


def test_the_proxy_protocol_is_believed_from_whom_gunicorn_believes_it(tmp_path: Path) -> None:
    done = from_line("gunicorn --proxy-protocol a:app", tmp_path)
    assert (done.settings["proxy.protocol"], done.settings["proxy.trusted"]) == ("true", "127.0.0.1,::1")


def test_a_limit_beyond_ours_is_told(path: Path) -> None:
    done = from_file(path, "limit_request_line = 0\nlimit_request_fields = 1000\n")
    assert [line.split(":")[0] for line in done.missing] == ["limit_request_line = 0", "limit_request_fields = 1000"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = (\n", "SyntaxError: '(' was never closed"),
        ("raise SystemExit(3)\n", "exit code 3"),
    ],
)
def test_a_file_that_cannot_be_run_is_the_operators(path: Path, content: str, why: str) -> None:
    with pytest.raises(OperatorError) as raised:
        from_file(path, content)
    assert str(raised.value).startswith(f"{path}: cannot be run: {why}; ")
    assert "\n" not in str(raised.value)


def test_what_a_file_prints_is_not_what_is_printed(path: Path) -> None:
    done: Imported = from_file(path, "print('[server]\\nworkers = 9')\nbacklog = 10\n")
    assert "workers" not in done.settings


def test_a_file_may_hold_much(path: Path) -> None:
    done = from_file(path, "raw_env = ['A=' + 'x' * 100] * 2000\nbacklog = 10\n")
    assert done.config.server.backlog == 10
    assert max(map(len, done.text.splitlines())) < 200
