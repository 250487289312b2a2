"""Writing files so that a killed run never leaves half of one."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
