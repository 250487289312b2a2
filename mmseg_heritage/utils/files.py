"""Writing files and folders so that a killed run never leaves half of one under its name."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError

_TEMPORARY = re.compile(r"\..*\.partial-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}")
_OF_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_UNFINISHED = ".unfinished"
_UNFINISHED_FILES = ".unfinished-files"
_WEEK = 7 * 24 * 3600  # seconds
_LONGEST_SUFFIX = 16  # of formats that libraries choose by it
_cleared: set[tuple[Path, int]] = set()  # folders, and the process that looked into them


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary name beside ``path`` and renames it to ``path`` when the block succeeds.

    The temporary name keeps the suffix, so that libraries which choose the format by suffix work.
    Missing parent folders are made. On an exception the temporary file is removed; after a kill the
    next process that writes into the folder removes it, see :func:`remove_temporaries`.
    """
    path = Path(path)
    temporary = _temporary(path, path.suffix)
    try:
        temporary.touch(exist_ok=False)
        with _naming(path):
            yield temporary
        temporary.replace(path)
    finally:
        remove_surely(temporary)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Names the file in errors of the system that do not: a write knows only its handle."""
    try:
        yield
    except OSError as error:
        if re.search(r"\d+ requested and \d+ written", str(error)):  # NumPy's words for a full disk
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        if error.errno in _OF_DISKS and error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def making_folder(path: str | Path) -> Iterator[Path]:
    """Yields a new folder beside ``path`` and renames it to ``path`` when the block succeeds.

    Missing parent folders are made. ``path`` may exist if it is empty. On an exception nothing
    stays; after a kill see :func:`replacing`.
    """
    with making_folders([path]) as (folder,):
        yield folder


@contextlib.contextmanager
def making_folders(paths: Sequence[str | Path]) -> Iterator[list[Path]]:
    """Does the same for folders that belong together.

    After a kill between two of them, :func:`is_unfinished` holds for those that are there, and the
    next call replaces these.
    """
    places = list(map(Path, paths))
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(staging_folder(place)) for place in places]
        yield made
        if len(made) > 1:
            _mark(made, places[0])
        for place, folder in zip(places, made, strict=True):
            if len(made) > 1 and is_unfinished(place):
                place.rename(stack.enter_context(staging_folder(place)) / "earlier")
            elif place.exists():
                place.rmdir()  # empty; Windows does not rename onto a folder
            folder.rename(place)
        for place in places if len(made) > 1 else []:
            remove_surely(place / _UNFINISHED)


@contextlib.contextmanager
def staging_folder(beside: str | Path) -> Iterator[Path]:
    """Yields a new folder for files that are moved to their places when all are finished.

    Args:
        beside: A file or folder on the same file system, where the folder is made and removed.
    """
    temporary = _temporary(Path(beside))
    try:
        temporary.mkdir()
        with _naming(Path(beside).parent):
            yield temporary
    finally:  # also on Ctrl-C: whatever stops the run, no half folder stays behind
        remove_surely(temporary)


def remove_surely(path: Path) -> None:
    """Removes a file or folder that is temporary, also if a signal comes just then."""
    try:
        _remove(path)
    except BaseException:
        _remove(path)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_temporaries(folder: Path, alone: bool = False) -> None:
    """Removes temporary files and folders that killed processes have left.

    Args:
        folder: Where they are looked for, not in folders below it.
        alone: Whether no other process writes there, so that all of them are left over; else
            those of processes of this machine that are gone, and those older than a week.
    """
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if (name := _TEMPORARY.match(path.name)) and (alone or _is_left(path, name)):
            with contextlib.suppress(OSError):
                _remove(path)


def _is_left(path: Path, name: re.Match[str]) -> bool:
    """Whether the process is gone that made a temporary file or folder."""
    try:
        old = time.time() - path.lstat().st_mtime > _WEEK
    except OSError:  # its process has just moved it to its place
        return False
    if name[1] != _host() or os.name == "nt":  # where signal 0 would end the process
        return old
    try:
        os.kill(int(name[2]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # it runs for another user
        return False
    return False


def _temporary(path: Path, suffix: str = "") -> Path:
    """Returns a name beside ``path`` that says which process uses it; removes what others left."""
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    if (seen := (folder.absolute(), os.getpid())) not in _cleared:
        _cleared.add(seen)
        remove_temporaries(folder)
    # A long name must not become too long for the file system.
    stem = os.fsencode(path.stem)[:100].decode(errors="ignore")
    suffix = suffix if len(suffix) <= _LONGEST_SUFFIX else ""
    return folder / f".{stem}.partial-{_host()}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


@functools.cache
def _host() -> str:
    """Returns what differs between machines, and containers, whose process numbers differ."""
    numbers, boot = Path("/proc/self/ns/pid"), Path("/proc/sys/kernel/random/boot_id")
    parts = [
        platform.node(),
        str(numbers.readlink()) if numbers.is_symlink() else "",
        boot.read_text() if boot.is_file() else "",
    ]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:8]


@contextlib.contextmanager
def unfinished(folders: Sequence[Path]) -> Iterator[None]:
    """Marks folders while files are written into them, for :func:`is_unfinished`.

    Args:
        folders: They are made where they are missing. A mark stays after a kill or an exception.
            All are finished at once: the marks of the others name the first, and count no longer
            than that one's.
    """
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    _mark(folders, *folders[:1])
    yield
    for folder in folders:
        remove_surely(folder / _UNFINISHED)


def _mark(folders: Sequence[Path], *first: Path) -> None:
    """Marks folders; all but the first name the place of the first."""
    for number, folder in enumerate(folders):
        text = str(first[0].absolute()) if number else ""
        (folder / _UNFINISHED).write_bytes(os.fsencode(text))


def is_unfinished(folder: Path) -> bool:
    """Whether a command that wrote into a folder was ended, so that it may write there again."""
    mark = folder / _UNFINISHED
    if not mark.is_file():
        return False
    first = os.fsdecode(mark.read_bytes())
    if first and not (Path(first) / _UNFINISHED).exists():
        mark.unlink(missing_ok=True)  # all was finished, and the command ended before it said so
        return False
    return True


@contextlib.contextmanager
def writing_together(folder: Path, files: Sequence[Path]) -> Iterator[None]:
    """Notes the names of several files while they are written, for :func:`finished_files`.

    Each of them is whole or not there, but only together are they what a command was asked for. The
    note stays after a kill, and after an exception if one of the files was written.

    Args:
        folder: Where the note is; it is made where it is missing.
        files: In it, or in folders below.
    """
    before, is_new = list(map(_number, files)), not folder.exists()
    names = {os.fsencode(file.relative_to(folder)) for file in files}
    with replacing(folder / _UNFINISHED_FILES) as temporary:
        temporary.write_bytes(b"\0".join(sorted(names | _noted(folder))))
    try:
        yield
    except BaseException:
        if list(map(_number, files)) == before:
            (folder / _UNFINISHED_FILES).unlink(missing_ok=True)
            if is_new:
                with contextlib.suppress(OSError):  # of one that is not empty
                    folder.rmdir()
        raise
    (folder / _UNFINISHED_FILES).unlink(missing_ok=True)


def finished_files(folder: Path, files: Iterable[Path]) -> list[Path]:
    """Returns which files are there, but for those that an ended command had not finished.

    Args:
        folder: That of :func:`writing_together`; the note itself does not count.
        files: In it, or in folders below.
    """
    noted = _noted(folder) | {os.fsencode(_UNFINISHED_FILES)}
    there = (file for file in files if file.exists())
    return [file for file in there if os.fsencode(file.relative_to(folder)) not in noted]


def _noted(folder: Path) -> set[bytes]:
    note = folder / _UNFINISHED_FILES
    return set(note.read_bytes().split(b"\0")) if note.is_file() else set()


def _number(file: Path) -> int:
    """Returns what differs between a file and the one that it replaced; 0 of none."""
    return file.stat().st_ino if file.exists() else 0


def output_folder(path: str | Path) -> Path:
    """Returns the absolute path of a folder to write to, which need not exist yet.

    Raises:
        InputError: If something else than a folder is in the way.
    """
    folder = Path(path).expanduser().resolve()
    refuse_file(folder)
    return folder


def refuse_file(folder: Path) -> None:
    """Refuses a file where a folder is to be.

    Raises:
        InputError: If there, or in place of a folder above it, is something else than a folder.
    """
    places = (folder, *folder.absolute().parents)
    place = next((place for place in places if place.exists()), None)
    if place is not None and not place.is_dir():
        raise InputError(f"{place}: expected a folder to write to, found a file")


def check_empty(folder: str | Path, ignore_hidden: bool = False) -> None:
    """Verifies that a folder to be made is absent or empty.

    Args:
        folder: To be made.
        ignore_hidden: Whether files may be there whose name begins with a dot.

    Raises:
        InputError: If it holds anything, or is a file.
    """
    folder = Path(folder)
    refuse_file(folder)
    remove_temporaries(folder)
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    found = [name for name in names if not (ignore_hidden and name.startswith("."))]
    if found:
        raise InputError(
            f"{folder}: the folder holds other files, such as {found[0]}; "
            "give one that is empty or new"
        )


def write_json(path: str | Path, content: Any) -> None:
    """Writes ``content`` as indented UTF-8 JSON, replacing ``path`` in one step."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def sha256(path: str | Path) -> str:
    """Returns the SHA-256 of a file as hex."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
