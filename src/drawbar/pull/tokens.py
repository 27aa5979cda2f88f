"""Who may use the API, and for which apps: the tokens file.

One token a line, then the apps it is for, separated by commas; `*`, or nothing, is every app:

    6fW2…  shop,blog
    Zk91…  *

`#` begins a comment. Law: a token is compared with every known one, by digests of equal length and without an early
end, so the time an answer takes says nothing about a token. Whatever is wrong with a line is told with its number, and
without the token.
"""

import hmac
import re
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from drawbar.pull.problem import Problem

SHORTEST_TOKEN: Final = 16
"""Characters: 96 bits with 64 different ones. Anything shorter invites guessing, and is refused at the start."""
LONGEST_TOKEN: Final = 512
"""Characters. What is longer is refused at the start, and unknown in a request."""
MOST_TOKENS: Final = 1_000
"""Each is compared with at every request; more are refused at the start."""

# RFC 6750 section 2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")
APP: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
CHALLENGE: Final = (b"WWW-Authenticate", b'Bearer realm="drawbar"')
WRITE_IT: Final = "Authorization: Bearer TOKEN, with a token of the server's tokens file"


class Grant(NamedTuple):
    """What a token is good for. `apps` None: every app."""

    apps: frozenset[str] | None

    def allows(self, app: str) -> bool:
        """Whether that app is among them."""
        return self.apps is None or app in self.apps

    def among(self, apps: Iterable[str]) -> list[str]:
        """Those of `apps` that are, in their order."""
        return [app for app in apps if self.allows(app)]


EVERYTHING: Final = Grant(None)
NOTHING: Final = Grant(frozenset())


class Tokens:
    """The grants, by token."""

    def __init__(self, grants: Iterable[tuple[str, Grant]]) -> None:
        self._grants = [(_digest(token), grant) for token, grant in grants]

    def __len__(self) -> int:
        return len(self._grants)

    @property
    def apps(self) -> set[str]:
        """Every app that is named in some grant."""
        return {app for _, grant in self._grants for app in grant.apps or ()}

    def grant(self, authorization: str | None) -> Grant:
        """What a request with that Authorization field may do. Raises Problem: 401."""
        if authorization is None:
            raise Problem("no-token", "this request has no token", WRITE_IT, fields=(CHALLENGE,))
        scheme, _, token = authorization.partition(" ")
        token = token.strip(" ")
        if scheme.lower() != "bearer" or not token or len(token) > LONGEST_TOKEN:
            raise Problem("no-token", "the Authorization field holds no bearer token", WRITE_IT, fields=(CHALLENGE,))
        given = _digest(token)
        found: Grant | None = None
        for digest, grant in self._grants:
            if hmac.compare_digest(digest, given):
                found = grant
        if found is None:
            raise Problem("no-token", "this token is unknown here", WRITE_IT, fields=(CHALLENGE,))
        return found


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def read(path: Path) -> Tokens:
    """The tokens of a file. Raises OSError, and ValueError with the line that is wrong."""
    return parse(path.read_text(encoding="utf-8", errors="replace"), str(path))


def parse(text: str, origin: str) -> Tokens:
    """The tokens of a file's text; `origin` is its name, for ValueError's words."""
    grants: dict[str, Grant] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split(None, 1)
        if not words:
            continue
        try:
            grants[_fresh(words[0], grants)] = _grant(words[1] if len(words) > 1 else "*")
        except ValueError as error:
            raise ValueError(f"{origin}, line {number}: {error}") from None
    if not grants:
        raise ValueError(
            f"{origin}: there is no token in it; write one a line, such as what `openssl rand -hex 32` says"
        )
    if len(grants) > MOST_TOKENS:
        raise ValueError(f"{origin}: {len(grants)} tokens are too many; at most {MOST_TOKENS} can be told apart")
    return Tokens(grants.items())


def _fresh(token: str, known: dict[str, Grant]) -> str:
    if not TOKEN.fullmatch(token):
        raise ValueError("a token is made of letters, digits and -._~+/, with = at its end only")
    if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
        raise ValueError(
            f"a token of {len(token)} characters; write {SHORTEST_TOKEN} to {LONGEST_TOKEN}, "
            "such as what `openssl rand -hex 32` says"
        )
    if token in known:
        raise ValueError("this token stands in the file twice; write all of its apps in one line")
    return token


def _grant(text: str) -> Grant:
    names = [name.strip() for name in text.split(",")]
    if names == ["*"]:
        return EVERYTHING
    for name in names:
        if not APP.fullmatch(name):
            raise ValueError(f"{name!r} is no app's name; write names separated by commas, or * for every app")
    return Grant(frozenset(names))
