"""Decoded photographs and masks on disk: one file for each, which training maps into memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mmseg_heritage.datasets.caches.pixel_cache import (
    CacheItem,
    PixelCache,
    Place,
    label_table,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.reader_version import reader_version
from mmseg_heritage.utils.file_state import file_state
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.utils.progress import Progress
from mmseg_heritage.utils.text import readable_size
from mmseg_heritage.utils.threads import run_in_threads

_ABANDONED = 3600  # seconds after which an unfinished file is that of a killed process
_UNFINISHED = re.compile(r"\.[0-9a-f]{24}-[0-9a-f]{7}-\w+\.npy")


def fill_disk(
    items: Sequence[CacheItem], folder: str | Path, progress: Progress | None = None
) -> PixelCache:
    """Decodes what is not yet in a folder, in threads; several processes may do so at once.

    Every file is written under another name and renamed, so that a killed fill is taken up again.
    Names stand for the path, size and time of change of the photograph, for its classes and
    label map, and for the reader: what changed is decoded again.

    Args:
        items: What to keep.
        folder: Where to; made if it does not exist.
        progress: Called with (done, total) after each file.

    Raises:
        InputError: If the disk has not enough room, if the folder cannot be written to, or with
            the faults of all photographs and masks.
    """
    folder = Path(folder)
    files = cache_files(items, folder)
    missing = missing_items(items, folder)
    places: dict[str, Place] = {}

    def keep(item: CacheItem) -> None:
        file = files[item.path]
        place = _stored(file, item)  # another process may have made it since
        if place is None:
            with replacing(file) as temporary, temporary.open("wb") as stream:
                np.save(stream, np.ascontiguousarray(item.decode()))
                stream.flush()
                os.fsync(stream.fileno())  # a name must not outlive its content in a power failure
            place = _stored(file, item)
        if place is None:
            raise InputError(f"{file}: what was written cannot be read back; is the disk sound?")
        places[item.path] = place

    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        _check_disk(missing, folder)
        # In no order, so that processes that fill together decode different files.
        run_in_threads(keep, random.Random().sample(items, len(items)), progress)
    except OSError as error:
        raise InputError(
            f"{folder}: the cache cannot be written ({error}). What is there is kept, and the next "
            "start goes on from it; another folder is given with cache_dir"
        ) from error
    return PixelCache(places)


def missing_items(items: Sequence[CacheItem], folder: Path) -> list[CacheItem]:
    """Returns what is not yet in a folder, or not any more as it is now."""
    files = cache_files(items, folder)
    return [item for item in items if _stored(files[item.path], item) is None]


def _check_disk(missing: Sequence[CacheItem], folder: Path) -> None:
    """Refuses to begin what the disk cannot take."""
    needed, free = sum(item.nbytes for item in missing), shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{folder}: cache='disk' needs {readable_size(needed)} for the pixels of "
            f"{len(missing)} more photographs and masks, but the disk has {readable_size(free)} "
            "left. Give a folder on another one with cache_dir, or use fewer or smaller photographs"
        )


def cache_files(items: Iterable[CacheItem], folder: Path) -> dict[str, Path]:
    """Returns the file of each path in a cache on disk: ``<what>-<in which state>.npy``."""
    reader = reader_version()
    return {
        item.path: folder / f"{_source_key(item)}-{_state_key(item, reader)}.npy" for item in items
    }


def outdated_files(items: Iterable[CacheItem], folder: Path) -> list[Path]:
    """Returns files of the same photographs and masks in another state, or by another reader.

    They are not removed: another run, in another environment, may be using them.
    """
    files = cache_files(items, folder).values()
    wanted = {file.name.split("-")[0] for file in files}
    found = (path for path in folder.glob("*.npy") if path.name.split("-")[0] in wanted)
    return sorted(set(found) - set(files))


def _source_key(item: CacheItem) -> str:
    """Names a photograph, or a mask with its classes and label map, in 24 hex digits."""
    table = b"" if item.label_map is None else label_table(item.label_map).tobytes()
    path = os.fsencode(Path(item.path).resolve())
    classes = bytes(sorted(item.classes.ids))  # a mask was verified to hold no other values
    return hashlib.sha256(b"\0".join([path, classes, table])).hexdigest()[:24]


def _state_key(item: CacheItem, reader: str) -> str:
    """Names the state of a file and the reader of its pixels, in 16 hex digits."""
    try:
        found = file_state(item.path)
    except OSError as error:
        raise InputError(f"{item.path}: cannot be read ({error})") from error
    state = f"{found.size} {found.mtime_ns} {reader}"
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def _stored(file: Path, item: CacheItem) -> Place | None:
    """Returns the place of an array on disk, or None where it is missing or damaged."""
    try:
        array = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(array, np.memmap) or array.dtype != np.uint8 or array.shape != item.shape:
        return None
    if not array.flags.c_contiguous:
        return None
    return Place(str(file), array.offset, item.shape)


def _remove_abandoned(folder: Path) -> None:
    """Removes what killed processes left unfinished."""
    for path in folder.glob(".*.npy"):
        if _UNFINISHED.fullmatch(path.name):
            with contextlib.suppress(FileNotFoundError):  # finished and renamed just now
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    path.unlink()
