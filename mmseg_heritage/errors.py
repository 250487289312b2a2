"""The one exception for bad input, carrying every problem found rather than the first."""

from __future__ import annotations

from collections.abc import Iterable

MAX_LISTED = 20


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
