"""One cache of decoded pixels for all processes of a machine."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import all_gather_object, get_rank
from mmengine.logging import print_log

from mmseg_heritage.datasets.caches.disk_cache import fill_disk, outdated_files
from mmseg_heritage.datasets.caches.pixel_cache import (
    CacheItem,
    PixelCache,
    SharedMemory,
    fill_memory,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.progress import progress_bar
from mmseg_heritage.utils.text import readable_size


def shared_cache(items: Sequence[CacheItem], folder: str | Path | None) -> PixelCache:
    """Fills a cache on the first process of each machine; the others wait and open the same.

    In a distributed run every process must call this.

    Args:
        items: What to keep.
        folder: Of a cache on disk; None keeps the pixels in memory.

    Raises:
        InputError: On every process, if it fails on one.
    """
    machines = all_gather_object(_machine())
    first = machines.index(machines[get_rank()])
    cache, failure = None, None
    if first == get_rank():
        try:
            cache = _filled(items, folder)
        except InputError as error:
            failure = error
    # What another machine filled cannot be opened here: only names are exchanged, not the cache.
    memory = cache.memory.path if cache is not None and cache.memory is not None else None
    places = cache.places if cache is not None else None
    outcomes = all_gather_object((failure, places, memory))
    for failure, _, _ in outcomes:
        if failure is not None:
            raise failure
    if cache is None:
        _, places, memory = outcomes[first]
        cache = PixelCache(places, None if memory is None else SharedMemory(memory))
    return cache


def _filled(items: Sequence[CacheItem], folder: str | Path | None) -> PixelCache:
    """Fills a cache, and says beforehand what it takes."""
    size = readable_size(sum(item.nbytes for item in items))
    what = f"decoded pixels of {len(items)} photographs and masks"
    if folder is None:
        print_log(f"cache='ram': {size} of memory for the {what}", "current")
        with progress_bar("decoding into memory") as report:
            return fill_memory(items, report)
    print_log(f"cache='disk': {size} for the {what} in {folder}", "current")
    with progress_bar("decoding into the cache") as report:
        cache = fill_disk(items, folder, report)
    outdated = outdated_files(items, Path(folder))
    if outdated:
        freed = readable_size(sum(path.stat().st_size for path in outdated))
        print_log(
            f"{folder}: {len(outdated)} files ({freed}) are of photographs and masks as they were "
            "earlier, or of another version of the reader. Nothing here uses them; delete the "
            "folder between runs to be rid of them",
            "current",
        )
    return cache


def _machine() -> str:
    """Names what processes must share to open each other's memory: a kernel and its process ids."""
    kernel, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not kernel.is_file():
        return platform.node()
    return f"{kernel.read_text().strip()} {processes.readlink()}"
