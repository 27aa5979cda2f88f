"""The house rules that can be checked by reading: who imports whom, and how a module looks."""

import ast
import re
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "drawbar"

# A floor imports only from floors below it; packages of one floor do not know each other.
FLOORS = {
    "config": 0,
    "wire": 1,
    "net": 2,
    "exchange": 3,
    "gateways": 4,
    "executors": 4,
    "pull": 5,
    "supervisor": 6,
    "cli": 7,
}
# The config is a leaf that only describes: nobody below may need it to work, so it is handed to them as plain values.
KNOW_NO_CONFIG = {"wire", "net", "exchange"}
# Rooms of the supervisor that serve the others, and those of its modules and rooms that they must not know.
LOWER_ROOMS = ("host", "listening")
UPPER_ROOMS = ("worker", "preload", "master")
# Past about 600 lines a module holds two ideas; a little slack keeps nobody from adding a docstring.
LONGEST_MODULE = 650

CIMPORT = re.compile(
    r"^\s*(?:from\s+(drawbar[\w.]*)\s+(?:cimport|import)|(?:cimport|import)\s+(drawbar[\w.]*))", re.MULTILINE
)

SUPERVISOR = "drawbar.supervisor"

MODULES = sorted(path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".pyx", ".pxd", ".pyi"})
WITH_CODE = [path for path in MODULES if path.suffix != ".pyi" and (path.name != "__init__.pxd")]


def floor_of(module: str) -> str:
    """`net` for `drawbar.net.reactor`; empty for `drawbar` itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def package_of(path: Path) -> str:
    """The floor a file lies on; empty for those directly in the package."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path) -> set[str]:
    """The modules of Drawbar that a file imports, anywhere in it."""
    text = path.read_text()
    if path.suffix in {".pyx", ".pxd"}:
        return {left or right for left, right in CIMPORT.findall(text)}
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: line {node.lineno} imports relatively; write the whole name"
            module = node.module or ""
            # `from drawbar import net` names a floor in its alias.
            found |= {f"drawbar.{alias.name}" for alias in node.names} if module == "drawbar" else {module}
    return {name for name in found if name.split(".")[0] == "drawbar"}


def name_of(path: Path) -> str:
    """`drawbar.net.reactor` for its file, `drawbar.net` for its package's `__init__.py`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def run_by_import(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """What is run when a module is imported: not what stands in functions, nor what only a type checker reads."""
    for statement in statements:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        checked = isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")
        for field in ("orelse",) if checked else ("body", "orelse", "handlers", "finalbody"):
            for inner in getattr(statement, field, ()):
                yield from run_by_import(inner.body if isinstance(inner, ast.ExceptHandler) else (inner,))


def names_imported(nodes: Iterable[ast.AST]) -> set[str]:
    """The whole names, of modules or of what is in them, that these statements import."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports_when_imported(path: Path) -> set[str]:
    """What importing a file imports."""
    return imports(path) if path.suffix != ".py" else names_imported(run_by_import(ast.parse(path.read_text()).body))


def module_with(name: str, modules: Iterable[str]) -> str:
    """The module that a name is, or is in: `from package import it` does not tell them apart."""
    return name if name in modules else name.rpartition(".")[0]


def named(path: Path) -> str:
    """The test's name for a file."""
    return str(path.relative_to(PACKAGE))


def test_every_folder_is_a_known_floor() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_floor_imports_only_from_floors_below(path: Path) -> None:
    here = package_of(path)
    if not here:
        return
    for module in imports(path):
        there = floor_of(module)
        if there not in FLOORS or there == here:
            continue
        assert FLOORS[there] < FLOORS[here], f"{here} must not know {module}"
        assert not (there == "config" and here in KNOW_NO_CONFIG), (
            f"{here} gets its settings as plain values, not as {module}"
        )


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_the_package_itself_imports_no_floor_when_imported(path: Path) -> None:
    if path.name == "__init__.py" and not package_of(path):
        assert imports(path) == set(), "`import drawbar` must stay free of charge"


def test_what_applications_import_imports_no_floor() -> None:
    """`drawbar.hooks` is the one module that lies on no floor: who names its types wants no server."""
    assert imports(PACKAGE / "hooks.py") == set()
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "hooks.py"}


@pytest.mark.parametrize("path", WITH_CODE, ids=named)
def test_a_module_opens_with_its_law(path: Path) -> None:
    text = path.read_text()
    if path.suffix == ".py":
        assert ast.get_docstring(ast.parse(text)), "no docstring"
    else:
        # Directives for the compiler may stand above it.
        code = re.sub(r"\A(?:#.*\n|\s*\n)*", "", text)
        assert code.startswith('"""'), "no docstring"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_is_one_idea(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LONGEST_MODULE


def test_native_modules_share_declarations_by_cimport_alone() -> None:
    including = [named(path) for path in MODULES if re.search(r"^\s*include\s+[\"']", path.read_text(), re.MULTILINE)]
    assert including == []


def test_the_supervisor_has_no_circle_of_imports() -> None:
    files = {name_of(path): path for path in WITH_CODE if package_of(path) == "supervisor"}
    graph = {
        name: {module_with(imported, files) for imported in imports_when_imported(path)} & set(files)
        for name, path in files.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


@pytest.mark.parametrize("room", LOWER_ROOMS)
def test_a_lower_room_of_the_supervisor_does_not_know_who_uses_it(room: str) -> None:
    paths = sorted((PACKAGE / "supervisor" / room).glob("*.py"))
    assert paths, f"there is no room {room}"
    upper = re.compile(rf"{re.escape(SUPERVISOR)}\.(?:{'|'.join(UPPER_ROOMS)})\b")
    for path in paths:
        known = filter(upper.match, names_imported(ast.walk(ast.parse(path.read_text()))))
        assert sorted(known) == [], f"{named(path)} must not know them"


def test_the_check_sees_each_way_to_import(tmp_path: Path) -> None:
    native = tmp_path / "some.pyx"
    native.write_text("from drawbar.net.reactor cimport Reactor\ncimport drawbar.wire.head\nimport drawbar.config\n")
    assert imports(native) == {"drawbar.net.reactor", "drawbar.wire.head", "drawbar.config"}
    plain = tmp_path / "some.py"
    plain.write_text(
        "import os\nfrom drawbar import net\ndef f():\n    import drawbar.cli\n    from drawbar.wire import x\n"
    )
    assert imports(plain) == {"drawbar.net", "drawbar.cli", "drawbar.wire"}


def test_the_check_for_circles_sees_only_what_importing_runs(tmp_path: Path) -> None:
    module = tmp_path / "some.py"
    module.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import a\nelse:\n    import b\n"
        "try:\n    from c import d, e\nexcept ImportError:\n    import f\n"
        "class C:\n    import g\n    def method(self):\n        import h\n"
        "def function():\n    from i import j\n"
    )
    assert imports_when_imported(module) == {"typing.TYPE_CHECKING", "b", "c.d", "c.e", "f", "g"}
