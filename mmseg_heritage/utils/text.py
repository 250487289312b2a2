"""Words in messages: names that are nearly right, numbers with nouns, sizes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mmseg_heritage.errors import InputError

_FEW = 30


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Returns "; did you mean A or B?" with up to three similar names, or nothing if none is.

    Args:
        name: As given. Upper and lower case count as equal.
        known: All that exist.
        cutoff: From which similarity on, 0 to 1, as :func:`difflib.get_close_matches` measures it.
    """
    by_lower = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), list(by_lower), cutoff=cutoff)
    return f"; did you mean {' or '.join(by_lower[other] for other in near)}?" if near else ""


def require_known(argument: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuses names that do not exist, and suggests similar ones.

    Args:
        argument: What the names were given as, such as '--images'.
        names: As given.
        known: All that exist.

    Raises:
        InputError: With every unknown name.
    """
    existing = list(known)
    problems = [f"'{n}'{did_you_mean(n, existing)}" for n in names if n not in existing]
    if problems:
        listed = f", one of {', '.join(existing)}" if len(existing) <= _FEW else ""
        raise InputError(f"{argument}: expected a name that exists{listed}", problems)


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun: '1 fault', '2 faults'."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def readable_size(num_bytes: float) -> str:
    """Returns a number of bytes in GB or MB (powers of 1000)."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.1f} MB"
