"""Variables that other servers give their workers, as `app.env`. Pure.

What is said later of a variable counts. What must be there before Python starts is not taken over: workers get
`app.env` when it runs already.
"""

from __future__ import annotations

from typing import Final

from drawbar.cli.importing.draft import Draft, Missing, Said, Verdict

KEY: Final = "app.env"
FILE: Final = Missing("what is in it may be secret: let the service manager read it (EnvironmentFile=), or see app.env")
TOO_LATE: Final = "it is read when a program starts: set it where Drawbar is started"
_OF_THE_START: Final = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "DRAWBAR_")
"""How variables begin that say something to Python, the C library or Drawbar itself."""


def variables(draft: Draft, said: Said) -> None:
    """NAME=VALUE, or a list of such."""
    for text in said.value if isinstance(said.value, list | tuple) else [said.value]:
        _add(draft, said._replace(value=text), text)


def rack_environment(draft: Draft, said: Said) -> None:
    """The name of an environment: servers of Ruby tell it to the application in RACK_ENV."""
    if not isinstance(said.value, str):
        draft.remark(Verdict.MISSING, said, "write it into app.env, as the variable that the application looks at")
        return
    differs = "it stands in RACK_ENV; name the variable that the application looks at"
    _put(draft, said, f"RACK_ENV={said.value}", differs)


def one(draft: Draft, said: Said) -> None:
    """A variable before a command, by its name."""
    _add(draft, said, f"{said.name}={said.value}")


def _add(draft: Draft, said: Said, text: object) -> None:
    if str(text).startswith(_OF_THE_START):
        draft.remark(Verdict.MISSING, said, TOO_LATE)
    else:
        _put(draft, said, text)


def _put(draft: Draft, said: Said, text: object, differs: str = "") -> None:
    """Adds to those that are known, instead of replacing them."""
    known = draft.values.get(KEY, ())
    name = str(text).partition("=")[0]
    others = [str(variable) for variable in known if variable.name != name]
    draft.put(KEY, said, lambda _: [*others, text], differs)
