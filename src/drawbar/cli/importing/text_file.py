"""Files of other servers that are read as text."""

from drawbar.config import OperatorError


def read_text(path: str) -> str:
    """What the file says; raises OperatorError when it cannot be read, or is no text."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"cannot be read: {error}", where=path) from error
