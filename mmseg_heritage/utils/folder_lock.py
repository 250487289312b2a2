"""One command at a time in the folder of a run."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import refuse_file, remove_surely

try:
    import fcntl
except ImportError:  # Windows, where nothing is locked
    fcntl = None  # type: ignore[assignment]

_ATTEMPTS = 100
_held: set[Path] = set()  # the system lets a process lock twice, and the first end unlocks
LOCK = ".mmseg_heritage.lock"
"""Name of the file that is locked. It is only there while a command writes into its folder."""


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keeps other processes from writing into a folder, which is made if it is missing.

    The operating system holds the lock and drops it however the process ends, so that none is left
    over; a network file system that passes locks on keeps out processes of other machines too. It
    is a POSIX record lock, which the workers of a killed process do not go on holding. A folder
    that was made here and stays empty is removed.

    Args:
        folder: Absolute path.

    Raises:
        InputError: If another process has locked it, with what is known of that process; or if it
            is a file.
    """
    refuse_file(folder)
    if folder in _held:
        raise InputError(f"{folder}: this process is writing into this folder already")
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    file = None
    _held.add(folder)
    try:
        if fcntl:
            file = _locked(folder / LOCK)
        else:
            folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        _held.discard(folder)
        if file:
            with contextlib.suppress(OSError):
                remove_surely(folder / LOCK)  # before others can lock it
            file.close()
        with contextlib.suppress(OSError):  # of one that is not empty
            for place in missing:
                place.rmdir()


def _locked(path: Path) -> IO[str] | None:
    """Returns the locked file; None where the file system has no locks."""
    for attempt in itertools.count():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # No link: the folder may come from a stranger.
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            file = os.fdopen(handle, "r+", encoding="utf-8")
        # The one who had made the folder has just removed it: before mkdir looked at it, or after.
        except (FileExistsError, FileNotFoundError):
            if attempt == _ATTEMPTS:
                raise
            continue
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            holder = _holder(file)
            file.close()
            raise InputError(
                f"{path.parent}: another command is writing into this folder ({holder}). Wait for "
                "its end, or choose another folder"
            ) from None
        except OSError as error:
            file.close()
            path.unlink(missing_ok=True)
            print(
                f"{path.parent}: cannot be locked ({error.strerror}); do not run two commands in it"
            )
            return None
        # The one who had locked it may have removed it in between.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                break
        file.close()
    file.truncate(0)
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    content = {"host": platform.node(), "process": os.getpid(), "since": since, "command": command}
    file.write(json.dumps(content))
    file.flush()
    return file


def _holder(file: IO[str]) -> str:
    """Says who has locked a file."""
    file.seek(0)
    try:
        holder = json.loads(file.read(10_000))
        return (
            f"process {holder['process']} on {holder['host']}, since {holder['since']}: "
            f"{holder['command'][:200]}"
        )
    except (ValueError, KeyError, TypeError):  # it is just being written
        return "started a moment ago"
