"""The house rules that can be checked by reading: who imports whom, and how a module looks."""

import ast
import re
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
# Past about 600 lines a module holds two ideas; a little slack keeps nobody from adding a docstring.
LONGEST_MODULE = 650

CIMPORT = re.compile(
    r"^\s*(?:from\s+(drawbar[\w.]*)\s+(?:cimport|import)|(?:cimport|import)\s+(drawbar[\w.]*))", re.MULTILINE
)

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


def test_the_check_sees_each_way_to_import(tmp_path: Path) -> None:
    native = tmp_path / "some.pyx"
    native.write_text("from drawbar.net.reactor cimport Reactor\ncimport drawbar.wire.head\nimport drawbar.config\n")
    assert imports(native) == {"drawbar.net.reactor", "drawbar.wire.head", "drawbar.config"}
    plain = tmp_path / "some.py"
    plain.write_text(
        "import os\nfrom drawbar import net\ndef f():\n    import drawbar.cli\n    from drawbar.wire import x\n"
    )
    assert imports(plain) == {"drawbar.net", "drawbar.cli", "drawbar.wire"}
