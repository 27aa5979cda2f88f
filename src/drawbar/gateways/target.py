"""From the text an operator writes to the application it names.

Forms: `module:attribute`, `module:object.attribute`, `path/to/file.py:attribute`, or any of them without attribute,
which then is `app` or `application` (with a factory `create_app` or `make_app`). Everything that can go wrong on the
way is the operator's to put right, so it becomes an OperatorError that says where; the cause stays chained to it. A
WSGI worker runs through here, so asyncio must not be imported.
"""

import importlib
import os
import sys
from types import ModuleType, TracebackType
from typing import Any, Final, Literal

import msgspec

from drawbar.config.errors import OperatorError, nearest
from drawbar.gateways.signature import Interface, judge, objection

CHDIR: Final = "app.chdir"
"""The setting of the directory to change to."""

APP_NAMES = ("app", "application")
FACTORY_NAMES = ("create_app", "make_app")
# Enough to recognise one's own application among; a longer list hides it.
CANDIDATES_SHOWN = 5


class LoadedApp(msgspec.Struct, frozen=True):
    """An application ready to be called: its interface, and its full name "module:attribute"."""

    app: Any
    interface: Interface
    name: str


def load_target(
    target: str,
    *,
    interface: Literal["auto", "wsgi", "asgi"] = "auto",
    factory: bool = False,
    chdir: str | None = None,
) -> LoadedApp:
    """Imports the application `target` names and finds its interface; with `factory` calls what it names first.

    Changes to the directory `chdir`, and puts the current directory first on the import path, as `python -m` does.
    Raises OperatorError.
    """
    enter_directory(chdir)
    source, attribute = split_target(target)
    module = import_source(source, target)
    path = attribute or default_attribute(module, factory, target)
    app = find_attribute(module, path, target)
    if factory:
        app = call_factory(app, target)
    return LoadedApp(app, decide(app, interface, target), f"{module.__name__}:{path}")


def enter_directory(chdir: str | None) -> None:
    """Makes `chdir`, or else the current directory, the one modules are imported from."""
    if chdir is not None:
        try:
            os.chdir(chdir)
        except OSError as error:
            raise OperatorError(f"cannot change to {chdir!r}: {error.strerror}", where=CHDIR) from error
    try:
        add_import_path(os.getcwd())
    except FileNotFoundError as error:
        right = "make it again and reload, or name another with --chdir"
        raise OperatorError("the directory the server was started in is gone", right=right) from error


def add_import_path(directory: str) -> None:
    """Puts `directory` first on the import path unless it is on it."""
    if directory not in sys.path:
        sys.path.insert(0, directory)


def split_target(target: str) -> tuple[str, str]:
    """The module or file, and the attribute path, "" when there is none."""
    source, colon, attribute = target.strip().rpartition(":")
    if not colon:
        source, attribute = attribute, ""
    if "(" in attribute:
        name = attribute.partition("(")[0]
        raise OperatorError(f"{target!r} is a call", where="TARGET", right=f"write {source}:{name} and add --factory")
    names = attribute.split(".") if attribute else []
    if not source or (colon and not names) or not all(name.isidentifier() for name in names):
        raise OperatorError(f"{target!r} names no application", where="TARGET", right="write module:app")
    return source, attribute


def import_source(source: str, target: str) -> ModuleType:
    """The module that `source`, a dotted name or a path to a file, stands for."""
    if not source.endswith(".py") and os.sep not in source:
        if not all(part.isidentifier() for part in source.split(".")):
            right = "write module:app or path/to/file.py:app"
            raise OperatorError(f"{source!r} is no module name", where=target, right=right)
        return import_module(source, target)
    file = os.path.abspath(source)
    if not os.path.isfile(file):
        right = f"write it with its ending: {source}.py" if os.path.isfile(file + ".py") else ""
        raise OperatorError(f"there is no file {source!r}", where=target, right=right)
    module = import_module(name_of_file(file), target)
    loaded = getattr(module, "__file__", None) or "the interpreter"
    if os.path.abspath(loaded) != file:
        raise OperatorError(
            f"the module name {module.__name__!r} is taken by {loaded}",
            where=target,
            right="give the file another name",
        )
    return module


def name_of_file(file: str) -> str:
    """The dotted name of a file, its package's parent being put on the import path."""
    directory, name = os.path.split(file.removesuffix(".py"))
    names = [] if name == "__init__" else [name]
    while os.path.isfile(os.path.join(directory, "__init__.py")):
        directory, package = os.path.split(directory)
        names.insert(0, package)
    add_import_path(directory)
    return ".".join(names)


def import_module(name: str, target: str) -> ModuleType:
    """The module `name`; tells a module that is not there from one that fails while it is imported."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise missing_module(error.name, target) from error
        raise failed(f"importing {name!r} failed", error, target) from error
    except (Exception, SystemExit) as error:
        raise failed(f"importing {name!r} failed", error, target) from error


def missing_module(name: str, target: str) -> OperatorError:
    """The error for a target whose module does not exist."""
    package, _, leaf = name.rpartition(".")
    directories = list(getattr(sys.modules[package], "__path__", ())) if package in sys.modules else [os.getcwd()]
    near = nearest(leaf, [each for directory in directories for each in modules_in(directory)])
    right = f"did you mean {f'{package}.{near}'.lstrip('.')}?" if near else "run from its directory or give --chdir"
    place = f"package {package!r}" if package else f"{os.getcwd()} or on the import path"
    return OperatorError(f"there is no module {leaf!r} in {place}", where=target, right=right)


def modules_in(directory: str) -> list[str]:
    """The names that could be imported from a directory."""
    entries = os.listdir(directory) if os.path.isdir(directory) else []
    files = [entry.removesuffix(".py") for entry in entries if entry.endswith(".py")]
    return sorted(files + [entry for entry in entries if os.path.isdir(os.path.join(directory, entry))])


def failed(what: str, error: BaseException, target: str) -> OperatorError:
    """The error for the application's own code raising, with the place in it."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        said, place = f"{type(error).__name__}: {error.msg}", f"{shorten(error.filename)}, line {error.lineno}"
    else:
        place = place_of(error.__traceback__)
    return OperatorError(f"{what}: {said}" + (f" ({place})" if place else ""), where=target)


def place_of(traceback: TracebackType | None) -> str:
    """Where an exception was raised, and the nearest line in the operator's own files when that is another one."""
    lines: list[tuple[str, int]] = []
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        # Frames of this module and of the import system only say that something was imported.
        if file != __file__ and not file.startswith("<frozen") and os.sep + "importlib" + os.sep not in file:
            lines.append((file, traceback.tb_lineno))
        traceback = traceback.tb_next
    if not lines:
        return ""
    own = [line for line in lines if is_own(line[0])]
    place = f"{shorten(lines[-1][0])}, line {lines[-1][1]}"
    if own and own[-1] != lines[-1]:
        place += f", from {shorten(own[-1][0])}, line {own[-1][1]}"
    return place


def is_own(file: str) -> bool:
    """Whether a file lies below the current directory and was not installed there."""
    return file.startswith(os.getcwd() + os.sep) and "site-packages" not in file


def shorten(file: str) -> str:
    """A file below the current directory by its relative path."""
    return os.path.relpath(file) if file.startswith(os.getcwd() + os.sep) else file


def default_attribute(module: ModuleType, factory: bool, target: str) -> str:
    """The attribute meant when the target names none."""
    names = (*FACTORY_NAMES, *APP_NAMES) if factory else APP_NAMES
    for name in names:
        if hasattr(module, name):
            return name
    raise OperatorError(
        f"module {module.__name__!r} has no {' or '.join(names)}", where=target, right=advice(module, "", target)
    )


def find_attribute(module: ModuleType, path: str, target: str) -> Any:
    """What `path` ("app", "site.handler") names in `module`."""
    found: Any = module
    owner = f"module {module.__name__!r}"
    for name in path.split("."):
        if not has_attribute(found, name, target):
            right = advice(module, name, target) if found is module else ""
            raise OperatorError(f"{owner} has no attribute {name!r}", where=target, right=right)
        found = getattr(found, name)
        owner = repr(name)
    return found


def has_attribute(value: Any, name: str, target: str) -> bool:
    """Whether it has, also of a value that raises what it likes when it is asked."""
    try:
        return hasattr(value, name)
    except Exception as error:
        raise closed(error, target) from error


def closed(error: Exception, target: str) -> OperatorError:
    """The error for an object that cannot be looked at: a stand-in for one of the present request, as Flask's are."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    what = f"{type(error).__name__}: {said.rstrip('.')}" if said else type(error).__name__
    return OperatorError(f"it cannot be looked at ({what})", where=target, right="name the application itself")


def advice(module: ModuleType, name: str, target: str) -> str:
    """What the operator may have meant, of what the module has."""
    names = [candidate for candidate in vars(module) if looks_like_app(vars(module)[candidate], module)]
    near = nearest(name, [candidate for candidate in vars(module) if not candidate.startswith("_")]) if name else ""
    if near:
        return f"did you mean {module.__name__}:{near}?"
    if names:
        return "candidates are " + ", ".join(f"{module.__name__}:{each}" for each in names[:CANDIDATES_SHOWN])
    factories = [each for each in FACTORY_NAMES if hasattr(module, each)]
    if factories:
        return f"write {module.__name__}:{factories[0]} and add --factory"
    for directory in getattr(module, "__path__", ()):
        for submodule in ("wsgi", "asgi"):
            if os.path.isfile(os.path.join(directory, submodule + ".py")):
                return f"did you mean {module.__name__}.{submodule}?"
    return f"nothing in it looks like an application; write {module.__name__}:NAME"


def looks_like_app(value: Any, module: ModuleType) -> bool:
    """Whether a global is worth proposing: made or defined in the module, and callable as an application."""
    try:
        if isinstance(value, type | ModuleType) or not callable(value):
            return False
        # A function imported from elsewhere is a helper; an instance of an imported class is what an application is.
        is_local = getattr(value, "__module__", None) == module.__name__ or not hasattr(value, "__qualname__")
        return is_local and judge(value).interface is not None
    except Exception:
        # A stand-in for an object of the present request, as Flask's `request` is, cannot be looked at outside of one.
        return False


def call_factory(factory: Any, target: str) -> Any:
    """What the factory returns."""
    if not callable(factory):
        raise OperatorError(f"it is {describe(factory)}, not a factory", where=target, right="leave --factory out")
    try:
        app = factory()
    except (Exception, SystemExit) as error:
        raise failed("calling the factory failed", error, target) from error
    if hasattr(app, "cr_frame"):
        app.close()
        raise OperatorError("the factory is async", where=target, right="make it a plain function that returns the app")
    if not callable(app):
        raise OperatorError(f"the factory returned {describe(app)}, not an application", where=target)
    return app


def decide(app: Any, interface: Literal["auto", "wsgi", "asgi"], target: str) -> Interface:
    """The interface to call `app` by: the chosen one if it is possible, else the one it speaks."""
    try:
        return _decide(app, interface, target)
    except OperatorError:
        raise
    except Exception as error:
        raise closed(error, target) from error


def _decide(app: Any, interface: Literal["auto", "wsgi", "asgi"], target: str) -> Interface:
    if not callable(app):
        raise OperatorError(
            f"it is {describe(app)}, which cannot be called", where=target, right="name the application"
        )
    if interface == "auto":
        verdict = judge(app)
        if verdict.interface is None:
            raise OperatorError(f"it is no application: {verdict.why}", where=target)
        return verdict.interface
    why = objection(app, interface)
    if why:
        raise OperatorError(f"it cannot be called as {interface.upper()}: {why}", where=target)
    return interface


def describe(value: object) -> str:
    """A value in words: its type, and itself when that is short."""
    if value is None:
        return "None"
    if isinstance(value, ModuleType):
        return f"the module {value.__name__!r}"
    text = repr(value)
    kind = type(value).__name__
    return f"{text} ({kind})" if len(text) <= 40 and "\n" not in text else f"of type {kind}"
