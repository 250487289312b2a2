"""What a command says last where it does not end well: one message, never a traceback."""

from __future__ import annotations

import re
import sys

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130  # as shells report what Ctrl-C ended: 128 + SIGINT

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Returns text that a terminal shows and does not obey: control characters as escapes."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def say(message: str) -> None:
    """Prints to the console's error stream."""
    print(printable(message), file=sys.stderr, flush=True)


def tolerate_console() -> None:
    """Lets a console that lacks a character show its escape, where print would raise."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
