"""What a process has read from files, remembered while the files stay as they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

_T = TypeVar("_T")

# Two changes within one tick of a file system's clock cannot be told apart; FAT has the longest.
_TICK = 2_000_000_000  # nanoseconds


class FileState(NamedTuple):
    """By what a file is taken for unchanged.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last change of its content, in nanoseconds since 1970.
    """

    size: int
    mtime_ns: int


def file_state(path: str | Path) -> FileState:
    """Returns the state of a file; of a link, that of the file it leads to.

    Raises:
        OSError: If there is none.
    """
    found = Path(path).stat()
    return FileState(found.st_size, found.st_mtime_ns)


class WhileUnchanged(Generic[_T]):
    """Remembers, in this process, what was read from files and folders until one of them changes.

    A folder changes when a file is added, removed or renamed in it. A file that is changed in place
    with its size and time of change kept is not noticed. What was changed in the last two seconds
    is not remembered: a second change could have the same time.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[list[tuple[int, ...] | None], _T]] = {}

    def get(self, key: Hashable, paths: Sequence[str | Path], read: Callable[[], _T]) -> _T:
        """Returns what is remembered under a key, or else reads it.

        Args:
            key: Names what is read.
            paths: The files and folders that it depends on; one that is absent must stay so.
            read: Called without arguments where nothing is remembered. What it raises is raised,
                and not remembered.
        """
        newest = time.time_ns() - _TICK
        states = [_identity(path) for path in paths]
        known = self._known.get(key)
        if known is not None and known[0] == states:
            return known[1]
        value = read()
        if all(state is None or state[0] < newest for state in states):
            self._known[key] = (states, value)
        return value


def _identity(path: str | Path) -> tuple[int, ...] | None:
    """Returns time of change, size and number of a file; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
