"""The terminal as a whole screen: painted, resized, and given back as it was.

Plain control sequences of ECMA-48 that every terminal of this century knows; no curses, whose tables would be one more
thing to find on a small server. Whatever ends the program, the screen that was there before comes back.
"""

import contextlib
import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import NamedTuple, TextIO

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""The second screen, no cursor, no wrapping of lines that are too long."""
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_REST_OF_LINE = "\x1b[K"
_REST_OF_SCREEN = "\x1b[J"
_BOLD = "\x1b[1m"
_REVERSED = "\x1b[7m"
_PLAIN = "\x1b[0m"

_SEQUENCES = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]")
"""What arrow and function keys send."""

FALLBACK = os.terminal_size((80, 24))


class Style(NamedTuple):
    """Numbers of the lines that stand out."""

    bold: frozenset[int] = frozenset()
    reversed: frozenset[int] = frozenset()


NO_STYLE = Style()


class Screen:
    """A terminal one paints on. `keys` and `paint` are for use within `open_screen`."""

    def __init__(self, keyboard: TextIO, output: TextIO, wake: int) -> None:
        self._keyboard = keyboard.fileno()
        self._output = output
        self._wake = wake

    def size(self) -> os.terminal_size:
        """Columns and lines, now."""
        try:
            found = os.get_terminal_size(self._output.fileno())
        except OSError:
            return FALLBACK
        # A terminal that does not know its size says 0.
        return found if found.columns > 0 and found.lines > 0 else FALLBACK

    def paint(self, lines: Sequence[str], style: Style = NO_STYLE) -> None:
        """Shows these lines and nothing else, without flicker: each line is overwritten, none is cleared before."""
        painted = [f"{_styled(line, number, style)}{_REST_OF_LINE}" for number, line in enumerate(lines)]
        self._output.write(_HOME + "\n".join(painted) + _REST_OF_SCREEN)
        self._output.flush()

    def keys(self, seconds: float) -> str | None:
        """The next keys, within that time; "" when the terminal has changed its size, None when nothing happened."""
        ready, _, _ = select.select([self._keyboard, self._wake], [], [], max(0.0, seconds))
        if self._wake in ready:
            os.read(self._wake, 4096)
            return ""
        if not ready:
            return None
        # At the end of input there is nobody to stop us but by the terminal's going.
        return os.read(self._keyboard, 64).decode(errors="replace") or "q"


@contextlib.contextmanager
def open_screen(keyboard: TextIO, output: TextIO) -> Iterator[Screen]:
    """Takes the terminal over, and gives it back at the end."""
    before = termios.tcgetattr(keyboard)
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    handlers = {number: signal.signal(number, _leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda number, frame: None)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        # Keys come one by one and unseen; Ctrl-C and Ctrl-Z still are what they are.
        tty.setcbreak(keyboard, termios.TCSANOW)
        output.write(_ENTER)
        output.flush()
        yield Screen(keyboard, output, reader)
    finally:
        with contextlib.suppress(OSError):
            output.write(_LEAVE)
            output.flush()
        with contextlib.suppress(termios.error):
            termios.tcsetattr(keyboard, termios.TCSANOW, before)
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def is_quit(keys: str) -> bool:
    """Whether somebody wants to leave: q, or Escape alone, which also begins what arrow keys send."""
    typed = _SEQUENCES.sub("", keys)
    return typed == "\x1b" or "q" in typed.lower()


def is_terminal(keyboard: TextIO | None, output: TextIO | None) -> bool:
    """There is a screen to paint on and a keyboard to stop us by."""
    return bool(
        keyboard and output and keyboard.isatty() and output.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    )


def _leave(number: int, frame: FrameType | None) -> None:
    # As Ctrl-C does it, so that the screen is given back on the way out.
    sys.exit(128 + number)


def _styled(line: str, number: int, style: Style) -> str:
    if number in style.reversed:
        return f"{_REVERSED}{line}{_PLAIN}"
    return f"{_BOLD}{line}{_PLAIN}" if number in style.bold else line
