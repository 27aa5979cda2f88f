"""What an operator got wrong, said in one line.

Lives here: the one error type for everything a person who starts the server can put right. Its text names the place
(file, option or environment variable, and key), what is wrong there, and what would be right. The command line prints
it without a traceback and exits 2. Faults of clients, of applications and of Drawbar itself are other types elsewhere.
"""


class OperatorError(Exception):
    """A setting, target or environment that the operator must change.

    `what` says what is wrong; `where` the place to change ("drawbar.toml: server.bind", "--bind"), "" when `what` names
    it; `right` what would be right, "" when that is plain.
    """

    def __init__(self, what: str, *, where: str = "", right: str = "") -> None:
        self.what = what
        self.where = where
        self.right = right
        super().__init__(what)

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        if self.right:
            line = f"{line}; {self.right}"
        return " ".join(line.split())


def nearest(word: str, known: list[str]) -> str:
    """The name in `known` that `word` is most likely a slip for, "" when none is near."""
    from difflib import get_close_matches  # only a mistake needs it, a serving process does not

    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return near[0] if near else ""
