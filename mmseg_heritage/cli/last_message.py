"""What a command says last where it does not end well: one message, never a traceback."""

from __future__ import annotations

import errno
import os
import re
import sys

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130  # as shells report what Ctrl-C ended: 128 + SIGINT

_REMEDIES = {
    errno.ENOSPC: "make room on this disk, and give the command again",
    errno.EDQUOT: "make room in your quota, and give the command again",
    errno.EFBIG: "the file system or a limit (ulimit -f) allows no file of this size",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "choose another place, or ask for the permission",
    errno.EPERM: "choose another place, or ask for the permission",
    errno.EMFILE: "raise the limit (ulimit -n 4096), or set num_workers=0",
    errno.ENFILE: "other programs have opened too many files; close some",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ELOOP: "these links lead to each other; give the file itself",
    errno.ENOMEM: "close other programs, or take smaller images, crops or batches",
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Returns text that a terminal shows and does not obey: control characters as escapes."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def say(message: str) -> None:
    """Prints to the console's error stream."""
    print(printable(message), file=sys.stderr, flush=True)


def system_message(error: OSError) -> str:
    """Returns what the operating system refused, in which file, and what to do about it."""
    # An error of a data-loading worker arrives with its traceback, which ends in the reason.
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = error.strerror or lines[-1]
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{place}{reason}" + (f"; {remedy}" if remedy else "")


def tolerate_console() -> None:
    """Lets a console that lacks a character show its escape, where print would raise."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
