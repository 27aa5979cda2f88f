"""From a target's text to the application, in real directories with real modules."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drawbar.config import OperatorError
from drawbar.gateways.target import LoadedApp, load_target

WSGI = "def {}(environ, start_response): return []\n"
ASGI = "async def {}(scope, receive, send): pass\n"
Write = Callable[[str, str], str]


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Each test starts in an empty directory, and leaves no modules or paths behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def write(directory: Path) -> Write:
    """Writes a source file below the directory."""

    def to_file(name: str, text: str) -> str:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    return to_file


def refusal(target: str, **options: object) -> str:
    with pytest.raises(OperatorError) as raised:
        load_target(target, **options)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)
    return str(raised.value)


def found(loaded: LoadedApp) -> tuple[str, str]:
    return loaded.name, loaded.interface


def test_module_and_attribute(write: Write) -> None:
    write("site_a.py", WSGI.format("hello") + ASGI.format("bye"))
    assert found(load_target("site_a:hello")) == ("site_a:hello", "wsgi")
    assert found(load_target(" site_a:bye ")) == ("site_a:bye", "asgi")
    assert load_target("site_a:hello").app is sys.modules["site_a"].hello


@pytest.mark.parametrize("name", ["app", "application"])
def test_a_module_alone(write: Write, name: str) -> None:
    write("site_a.py", WSGI.format(name))
    assert found(load_target("site_a")) == (f"site_a:{name}", "wsgi")


def test_app_goes_before_application(write: Write) -> None:
    write("site_a.py", WSGI.format("application") + ASGI.format("app"))
    assert found(load_target("site_a")) == ("site_a:app", "asgi")


def test_the_module_django_writes(write: Write) -> None:
    write("mysite/__init__.py", "")
    write("mysite/wsgi.py", WSGI.format("application"))
    assert found(load_target("mysite.wsgi")) == ("mysite.wsgi:application", "wsgi")


def test_an_attribute_of_an_attribute(write: Write) -> None:
    write("site_a.py", "class Site:\n    async def handle(self, scope, receive, send): pass\nsite = Site()\n")
    assert found(load_target("site_a:site.handle")) == ("site_a:site.handle", "asgi")


def test_a_file(write: Write, directory: Path) -> None:
    write("deep/er/site_a.py", WSGI.format("app"))
    assert found(load_target("deep/er/site_a.py:app")) == ("site_a:app", "wsgi")
    assert found(load_target(str(directory / "deep/er/site_a.py"))) == ("site_a:app", "wsgi")


def test_a_file_in_a_package_may_import_from_it(write: Write) -> None:
    write("lib/pack/__init__.py", "")
    write("lib/pack/other.py", "value = 1\n")
    write("lib/pack/site_a.py", "from . import other\nfrom pack.other import value\n" + WSGI.format("app"))
    assert found(load_target("lib/pack/site_a.py:app")) == ("pack.site_a:app", "wsgi")


def test_a_file_whose_name_is_no_identifier(write: Write) -> None:
    write("my-site.py", WSGI.format("app"))
    assert found(load_target("my-site.py")) == ("my-site:app", "wsgi")


def test_a_file_named_like_a_loaded_module(write: Write) -> None:
    write("json.py", WSGI.format("app"))
    assert "json.py: the module name 'json' is taken by " in refusal("json.py")
    assert refusal("json.py").endswith("give the file another name")


def test_files_that_are_not_there(write: Write) -> None:
    write("deep/site_a.py", WSGI.format("app"))
    assert refusal("no/site_b.py:app") == "no/site_b.py:app: there is no file 'no/site_b.py'"
    assert refusal("deep/site_a:app").endswith("; write it with its ending: deep/site_a.py")


def test_chdir(write: Write, directory: Path) -> None:
    write("sub/site_a.py", WSGI.format("app"))
    assert found(load_target("site_a", chdir="sub")) == ("site_a:app", "wsgi")
    assert os.path.realpath(os.getcwd()) == os.path.realpath(directory / "sub")
    assert sys.path[0] == os.getcwd()


def test_chdir_to_nowhere() -> None:
    assert refusal("site_a", chdir="no") == "app.chdir: cannot change to 'no': No such file or directory"


@pytest.mark.parametrize("target", ["", ":app", "site_a:", "site_a:1", "site_a:a..b", "site_a:a-b"])
def test_what_is_no_target(target: str) -> None:
    assert refusal(target) == f"TARGET: {target!r} names no application; write module:app"


@pytest.mark.parametrize("source", ["my-site", "a..b", "1st"])
def test_what_is_no_module_name(source: str) -> None:
    assert refusal(f"{source}:app") == (
        f"{source}:app: {source!r} is no module name; write module:app or path/to/file.py:app"
    )


def test_a_call_is_a_factory() -> None:
    assert refusal("site_a:create_app()") == (
        "TARGET: 'site_a:create_app()' is a call; write site_a:create_app and add --factory"
    )


def test_a_module_that_is_not_there(write: Write, directory: Path) -> None:
    write("site_a.py", "")
    assert refusal("site_b:app") == (
        f"site_b:app: there is no module 'site_b' in {os.getcwd()} or on the import path; did you mean site_a?"
    )
    assert refusal("zzzz:app").endswith("; run from its directory or give --chdir")


def test_a_module_that_is_not_in_its_package(write: Write) -> None:
    write("pack/__init__.py", "")
    write("pack/wsgi.py", "")
    assert refusal("pack.wsg") == "pack.wsg: there is no module 'wsg' in package 'pack'; did you mean pack.wsgi?"


def test_an_import_that_fails_inside_is_told_apart(write: Write) -> None:
    write("site_a.py", "import os\nimport not_installed_anywhere\n")
    assert refusal("site_a:app") == (
        "site_a:app: importing 'site_a' failed: ModuleNotFoundError: No module named 'not_installed_anywhere' "
        "(site_a.py, line 2)"
    )


def test_an_import_that_fails_deeper_names_the_inner_line(write: Write) -> None:
    write("site_a.py", "\nimport site_b\n")
    write("site_b.py", "\n\nfrom os import nothing_like_it\n")
    message = refusal("site_a")
    assert "ImportError: cannot import name 'nothing_like_it' from 'os'" in message
    assert message.endswith("(site_b.py, line 3)")


def test_a_failure_in_foreign_code_names_the_own_line_too(write: Write) -> None:
    write("site_a.py", "import statistics\n\nstatistics.mean([])\n")
    assert "statistics.py, line " in refusal("site_a")
    assert refusal("site_a").endswith(", from site_a.py, line 3)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def broken(:\n", "SyntaxError: invalid syntax (site_a.py, line 1)"),
        ("1 / 0\n", "ZeroDivisionError: division by zero (site_a.py, line 1)"),
        ("raise KeyError\n", "KeyError (site_a.py, line 1)"),
        ("import sys\nsys.exit(1)\n", "SystemExit: 1 (site_a.py, line 2)"),
    ],
)
def test_a_module_that_raises(write: Write, text: str, said: str) -> None:
    write("site_a.py", text)
    assert refusal("site_a") == f"site_a: importing 'site_a' failed: {said}"


def test_the_cause_is_kept(write: Write) -> None:
    write("site_a.py", "1 / 0\n")
    with pytest.raises(OperatorError) as raised:
        load_target("site_a")
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_an_attribute_that_is_nearly_right(write: Write) -> None:
    write("site_a.py", WSGI.format("application"))
    assert refusal("site_a:aplication") == (
        "site_a:aplication: module 'site_a' has no attribute 'aplication'; did you mean site_a:application?"
    )


def test_candidates_are_what_looks_like_an_application(write: Write) -> None:
    write(
        "site_a.py",
        "from os.path import relpath as helper\nimport os\nvalue = 3\ndef view(request): pass\n"
        + WSGI.format("one")
        + ASGI.format("two"),
    )
    assert (
        refusal("site_a") == "site_a: module 'site_a' has no app or application; candidates are site_a:one, site_a:two"
    )


def test_an_object_of_an_imported_class_is_a_candidate(write: Write) -> None:
    write("site_b.py", "class Site:\n    async def __call__(self, scope, receive, send): pass\n")
    write("site_a.py", "from site_b import Site\nmain = Site()\n")
    assert refusal("site_a").endswith("; candidates are site_a:main")


def test_an_object_that_cannot_be_looked_at_is_no_candidate(write: Write) -> None:
    # As flask.request is outside of a request: a stand-in whose every attribute raises, its class too.
    stand_in = "    @property\n    def __class__(self): raise RuntimeError('outside of a request')\n"
    write("site_b.py", "class StandIn:\n" + stand_in + "    def __call__(self): pass\nrequest = StandIn()\n")
    write("site_a.py", "from site_b import request\n" + WSGI.format("main"))
    assert refusal("site_a:mian").endswith("; did you mean site_a:main?")


@pytest.mark.parametrize("interface", ["auto", "wsgi", "asgi"])
@pytest.mark.parametrize("target", ["site_c:request", "site_c:request.app"])
def test_an_object_that_cannot_be_looked_at_is_no_target(write: Write, target: str, interface: str) -> None:
    # What frameworks say of it: a first line, and then advice that is none for an operator.
    raising = r"raise RuntimeError('outside of a request.\n\nThis typically means that it is.')"
    stand_in = f"class StandIn:\n    def __call__(self): pass\n    def __getattribute__(self, name): {raising}\n"
    write("site_c.py", stand_in + "request = StandIn()\n")
    assert refusal(target, interface=interface) == (
        f"{target}: it cannot be looked at (RuntimeError: outside of a request); name the application itself"
    )


def test_a_module_with_nothing_in_it(write: Write) -> None:
    write("site_a.py", "")
    assert refusal("site_a").endswith("; nothing in it looks like an application; write site_a:NAME")


def test_a_module_with_a_factory_only(write: Write) -> None:
    write("site_a.py", "def create_app(): pass\n")
    assert refusal("site_a").endswith("; write site_a:create_app and add --factory")


def test_a_django_project_named_without_its_module(write: Write) -> None:
    write("mysite/__init__.py", "")
    write("mysite/wsgi.py", "")
    assert refusal("mysite").endswith("; did you mean mysite.wsgi?")


def test_an_attribute_path_that_ends_early(write: Write) -> None:
    write("site_a.py", WSGI.format("app"))
    assert refusal("site_a:app.inner") == "site_a:app.inner: 'app' has no attribute 'inner'"


def test_what_cannot_be_called(write: Write) -> None:
    write("site_a.py", "import os\nvalue = 3\nnothing = None\n")
    assert refusal("site_a:value") == "site_a:value: it is 3 (int), which cannot be called; name the application"
    assert "it is None, which cannot be called" in refusal("site_a:nothing")
    assert "it is the module 'os', which cannot be called" in refusal("site_a:os")


def test_a_factory(write: Write) -> None:
    write("site_a.py", WSGI.format("hello") + "def create_app(): return hello\ndef other(): return hello\n")
    assert found(load_target("site_a:other", factory=True)) == ("site_a:other", "wsgi")
    assert found(load_target("site_a", factory=True)) == ("site_a:create_app", "wsgi")
    assert refusal("site_a:create_app").endswith("it needs no arguments; if it returns the application, add --factory")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def make(): raise RuntimeError('no database')", "calling the factory failed: RuntimeError: no database"),
        ("def make(): return None", "the factory returned None, not an application"),
        ("async def make(): pass", "the factory is async; make it a plain function that returns the app"),
        ("make = 3", "it is 3 (int), not a factory; leave --factory out"),
    ],
)
def test_a_factory_that_makes_no_application(write: Write, text: str, said: str) -> None:
    write("site_a.py", text)
    assert refusal("site_a:make", factory=True).startswith(f"site_a:make: {said}")


def test_the_line_a_factory_fails_in(write: Write) -> None:
    write("site_a.py", "def make():\n    return 1 / 0\n")
    assert refusal("site_a:make", factory=True).endswith("division by zero (site_a.py, line 2)")


def test_a_chosen_interface(write: Write) -> None:
    write("site_a.py", "def app(*args): pass\n" + ASGI.format("main"))
    assert load_target("site_a:app").interface == "wsgi"
    assert load_target("site_a:app", interface="asgi").interface == "asgi"
    assert refusal("site_a:main", interface="wsgi").startswith(
        "site_a:main: it cannot be called as WSGI: it is async and takes 3 arguments"
    )


def test_loading_a_wsgi_application_never_imports_asyncio(write: Write) -> None:
    write("site_a.py", WSGI.format("app"))
    code = (
        "import sys; from drawbar.gateways.target import load_target; load_target('site_a');"
        "print('asyncio' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
