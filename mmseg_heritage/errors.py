"""The one exception for bad input, and the words for what the operating system refuses."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

MAX_LISTED = 20

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


class InputError(ValueError):
    """Something the user gave cannot be used: a file, a folder, a config value, a checkpoint.

    The command line prints the message without a traceback and exits with code 2.

    Args:
        summary: What was expected and what to do, in a sentence or two.
        problems: What was found, one line each, naming the file or key. The message lists the first
            20 and counts the rest; :attr:`problems` keeps all of them.
    """

    def __init__(self, summary: str, problems: Iterable[str] = ()) -> None:
        self.summary = summary
        self.problems = list(problems)
        super().__init__(summary)

    def __str__(self) -> str:
        lines = [self.summary]
        lines += [f"  - {problem}" for problem in self.problems[:MAX_LISTED]]
        if len(self.problems) > MAX_LISTED:
            lines.append(f"  ... and {len(self.problems) - MAX_LISTED} more")
        return "\n".join(lines)


def system_message(error: OSError) -> str:
    """Returns what the operating system refused, in which file, and what to do about it."""
    # An error of a data-loading worker arrives with its traceback, which ends in the reason.
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = error.strerror or lines[-1]
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{place}{reason}" + (f"; {remedy}" if remedy else "")
