"""Ids of samples: file names on every system."""

from __future__ import annotations

import re
from collections.abc import Iterable

# An id becomes a file name on Linux, macOS and Windows, and Path.stem must give it back.
_SAFE_ID = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9_-])?")
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def id_problems(ids: Iterable[tuple[str, str]]) -> list[str]:
    """Returns what is wrong with the ids of a data set, one line each.

    Args:
        ids: (place, id); the place is what messages begin with.
    """
    problems = []
    first: dict[str, str] = {}
    for place, sample_id in ids:
        if not _SAFE_ID.fullmatch(sample_id) or _WINDOWS_DEVICES.fullmatch(sample_id):
            problems.append(
                f"{place}: the id {sample_id[:60]!r} cannot name a file; expected up to 128 "
                "letters, digits, '_', '-' and '.'"
            )
            continue
        # Where case does not count, "a" and "A" would be one file.
        key = sample_id.casefold()
        if key in first:
            problems.append(f"{place}: the id '{sample_id}' is also that of {first[key]}")
        first.setdefault(key, place)
    return problems
