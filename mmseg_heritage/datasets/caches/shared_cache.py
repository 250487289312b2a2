"""One cache of decoded pixels for all processes of a machine."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import all_gather_object, get_rank
from mmengine.logging import print_log

from mmseg_heritage.datasets.caches.disk_cache import (
    fill_disk,
    missing_items,
    outdated_files,
)
from mmseg_heritage.datasets.caches.pixel_cache import (
    CacheItem,
    PixelCache,
    SharedMemory,
    fill_memory,
    needed_memory,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.memory import available_memory
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.utils.text import readable_size

_SHARE_OF_MEMORY = 0.5
_LEFT_OF_DISK = 0.1
_MOST_ON_DISK = 100e9  # filled in minutes: other processes wait for at most ten


def shared_cache(items: Sequence[CacheItem], cache: str, folder: str | Path) -> PixelCache | None:
    """Fills a cache on the first process of each machine; the others wait and open the same.

    In a distributed run every process must call this.

    Args:
        items: What to keep.
        cache: 'ram', 'disk', or 'auto': in memory where it takes at most half of what is
            available, so that the model and the workers have theirs; else on disk, up to 100 GB,
            where that leaves a tenth of the disk free; else nowhere.
        folder: Of a cache on disk.

    Returns:
        The cache; None for 'auto' without room for one.

    Raises:
        InputError: On every process, if it fails on one.
    """
    machines = all_gather_object(_machine())
    first = machines.index(machines[get_rank()])
    found, failure = None, None
    if first == get_rank():
        try:
            chosen = chosen_cache(items, Path(folder)) if cache == "auto" else cache
            found = None if chosen == "none" else _filled(items, chosen, Path(folder))
        except InputError as error:
            failure = error
    # What another machine filled cannot be opened here: only names are exchanged, not the cache.
    memory = found.memory.path if found is not None and found.memory is not None else None
    places = found.places if found is not None else None
    outcomes = all_gather_object((failure, places, memory))
    for failure, _, _ in outcomes:
        if failure is not None:
            raise failure
    _, places, memory = outcomes[first]
    if found is None and places is not None:
        found = PixelCache(places, None if memory is None else SharedMemory(memory))
    return found


def chosen_cache(items: Sequence[CacheItem], folder: Path) -> str:
    """Returns where there is room for decoded pixels: 'ram', 'disk' or 'none'.

    Args:
        items: What to keep.
        folder: Of a cache on disk, which need not exist.
    """
    if sys.platform == "linux" and needed_memory(items) <= _SHARE_OF_MEMORY * available_memory():
        return "ram"
    try:
        needed = sum(item.nbytes for item in missing_items(items, folder))
        there = next(path for path in (folder, *folder.parents) if path.exists())
        disk = shutil.disk_usage(there)
        room = min(disk.free - _LEFT_OF_DISK * disk.total, _MOST_ON_DISK)
        if needed <= room and os.access(there, os.W_OK):
            return "disk"
    except OSError:  # a folder that cannot be looked into
        pass
    size = readable_size(sum(item.nbytes for item in items))
    print_log(
        f"cache='auto' keeps nothing: neither the memory nor the disk of {folder} has room for "
        f"{size} of decoded pixels, so that photographs are decoded for every crop. A folder "
        "elsewhere is given with cache_dir",
        "current",
    )
    return "none"


def _filled(items: Sequence[CacheItem], cache: str, folder: Path) -> PixelCache:
    """Fills a cache, and says beforehand what it takes."""
    size = readable_size(sum(item.nbytes for item in items))
    what = f"decoded pixels of {len(items)} photographs and masks"
    if cache == "ram":
        print_log(f"cache='ram': {size} of memory for the {what}", "current")
        with progress_bar("decoding into memory") as report:
            return fill_memory(items, report)
    print_log(f"cache='disk': {size} for the {what} in {folder}", "current")
    with progress_bar("decoding into the cache") as report:
        found = fill_disk(items, folder, report)
    outdated = outdated_files(items, folder)
    if outdated:
        freed = readable_size(sum(path.stat().st_size for path in outdated))
        print_log(
            f"{folder}: {len(outdated)} files ({freed}) are of photographs and masks as they were "
            "earlier, or of another version of the reader. Nothing here uses them; delete the "
            "folder between runs to be rid of them",
            "current",
        )
    return found


def _machine() -> str:
    """Names what processes must share to open each other's memory: a kernel and its process ids."""
    kernel, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not kernel.is_file():
        return platform.node()
    return f"{kernel.read_text().strip()} {processes.readlink()}"
