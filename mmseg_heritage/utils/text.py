"""Names that a user gave, held against those that exist; and plurals."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from mmseg_heritage.errors import InputError

_FEW = 30


def require_known(argument: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuses names that do not exist, and suggests those that are near.

    Args:
        argument: What the names were given as, such as '--images'.
        names: As given.
        known: All that exist.

    Raises:
        InputError: With every unknown name.
    """
    existing = list(known)
    problems = [_problem(name, existing) for name in names if name not in existing]
    if problems:
        listed = f", one of {', '.join(existing)}" if len(existing) <= _FEW else ""
        raise InputError(f"{argument}: expected a name that exists{listed}", problems)


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun: '1 fault', '2 faults'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _problem(name: str, known: Sequence[str]) -> str:
    """Returns what is wrong with one name, whatever its case."""
    lower = {other.lower(): other for other in reversed(known)}
    near = difflib.get_close_matches(name.lower(), list(lower), n=3)
    return f"'{name}'" + (
        f"; did you mean {' or '.join(lower[other] for other in near)}?" if near else ""
    )
