"""Writing files and folders so that a killed run never leaves half of one under its name."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError

_UMASK_LOCK = threading.Lock()


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary name beside ``path`` and renames it to ``path`` when the block succeeds.

    The temporary name keeps the suffix, so that libraries which choose the format by suffix work.
    Missing parent folders are made. On an exception the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.stem[:32]}-"  # a long name must not become too long for the file system
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # mkstemp's 0600 would shut colleagues out
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def making_folder(path: str | Path) -> Iterator[Path]:
    """Yields a new folder beside ``path`` and renames it to ``path`` when the block succeeds.

    Missing parent folders are made. ``path`` may exist if it is empty. On an exception nothing
    stays; a kill leaves ``.<name>.partial-...``, which nothing reads.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial-{secrets.token_hex(4)}"
    partial.mkdir()
    try:
        yield partial
        if path.exists():
            path.rmdir()  # empty; Windows does not rename onto a folder
        partial.rename(path)
    except BaseException:  # also Ctrl-C: whatever stops the run, no half folder stays behind
        shutil.rmtree(partial, ignore_errors=True)
        raise


def check_empty(folder: str | Path, ignore_hidden: bool = False) -> None:
    """Verifies that a folder to be made is absent or empty.

    Args:
        folder: To be made.
        ignore_hidden: Whether files may be there whose name begins with a dot.

    Raises:
        InputError: If it holds anything, or is a file.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: expected a folder to write to, found a file")
    names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    found = [name for name in names if not (ignore_hidden and name.startswith("."))]
    if found:
        raise InputError(
            f"{folder}: the folder holds other files, such as {found[0]}; "
            "give one that is empty or new"
        )


def _umask() -> int:
    """Returns the process's umask, which can only be read by setting it."""
    with _UMASK_LOCK:  # of two threads at once, one would read the other's 0 and leave it set
        mask = os.umask(0)
        os.umask(mask)
    return mask


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
