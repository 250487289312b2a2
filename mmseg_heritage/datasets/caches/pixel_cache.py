"""Decoded photographs and masks, kept in memory or on disk, so that training decodes none.

Both places work alike: a file that every process maps. In memory it is a nameless one (memfd) that
disappears with the last process that uses it, however that ends; on disk there is one file for each
photograph and mask (:mod:`mmseg_heritage.datasets.caches.disk_cache`). Arrays are mapped
copy-on-write: they behave like arrays of one's own, but only the parts that are looked at are read,
and what is written to them stays private.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.known_sizes import known_size
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.taxonomy import ARTEFACT, ClassList
from mmseg_heritage.utils.memory import available_memory
from mmseg_heritage.utils.progress import Progress
from mmseg_heritage.utils.text import readable_size
from mmseg_heritage.utils.threads import DEFAULT_WORKERS, run_in_threads

CACHES = ("auto", "none", "ram", "disk")
_DECODING_BYTES = 14  # bytes a pixel while a photograph is decoded, turned and copied
_USABLE = 0.9  # share of the available memory; the rest is for the training itself
_ALIGNMENT = 4096  # arrays begin at pages of their own

LabelMap = Mapping[int, int]


def decode_image(path: str | Path) -> np.ndarray:
    """Reads a photograph as the training pipeline takes it: uint8 (H, W, 3), BGR, contiguous."""
    return np.ascontiguousarray(read_image(path)[..., ::-1])


def decode_mask(
    path: str | Path,
    size: tuple[int, int] | None = None,
    label_map: LabelMap | None = None,
    classes: ClassList = ARTEFACT,
) -> np.ndarray:
    """Reads a mask and maps its ids to those that are trained: uint8 (H, W).

    Args:
        path: File of the mask.
        size: Expected (width, height).
        label_map: Old id -> new id; ids it does not name stay. None changes nothing.
        classes: Those that the mask can hold.
    """
    mask = read_mask(path, size, classes=classes)
    return mask if label_map is None else label_table(label_map)[mask]


def label_table(label_map: LabelMap) -> np.ndarray:
    """Returns the new id of each of 256 mask values, uint8 (256,)."""
    table = np.arange(256, dtype=np.uint8)
    for old_id, new_id in label_map.items():
        table[old_id] = new_id
    return table


@dataclass(frozen=True)
class CacheItem:
    """One file to decode and keep.

    Attributes:
        path: The photograph or mask.
        shape: Shape of its uint8 array, (H, W, 3) or (H, W).
        label_map: Old id -> new id, of masks.
        classes: Those that a mask can hold.
    """

    path: str
    shape: tuple[int, ...]
    label_map: LabelMap | None = None
    classes: ClassList = ARTEFACT

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array."""
        return int(np.prod(self.shape, dtype=np.int64))

    def decode(self) -> np.ndarray:
        """Returns the array.

        Raises:
            InputError: If the file is faulty, or is no longer the one whose header was read.
        """
        if len(self.shape) == 3:
            array = decode_image(self.path)
        else:
            size = (self.shape[1], self.shape[0])
            array = decode_mask(self.path, size, self.label_map, self.classes)
        if array.shape != self.shape:
            raise InputError(
                f"{self.path}: expected {self.shape[1]}x{self.shape[0]} as its header said, found "
                f"{array.shape[1]}x{array.shape[0]}; did it change just now? Start again"
            )
        return array


def plan_cache(
    pairs: Iterable[tuple[str, str]],
    label_map: LabelMap | None = None,
    classes: ClassList = ARTEFACT,
) -> list[CacheItem]:
    """Lists what a cache will hold, reading headers only.

    Args:
        pairs: Photograph and mask of each sample.
        label_map: Old id -> new id, or None.
        classes: Those that the masks can hold.
    """
    items: dict[str, CacheItem] = {}
    for image, mask in pairs:
        width, height = known_size(image)
        items[image] = CacheItem(image, (height, width, 3))
        items[mask] = CacheItem(mask, (height, width), label_map, classes)
    return list(items.values())


def needed_memory(items: Sequence[CacheItem]) -> int:
    """Returns the bytes that a cache in memory takes at most, while it is filled."""
    largest = sorted((int(np.prod(item.shape[:2])) for item in items), reverse=True)
    decoding = _DECODING_BYTES * sum(largest[:DEFAULT_WORKERS])
    return sum(item.nbytes for item in items) + decoding


def check_memory(items: Sequence[CacheItem]) -> None:
    """Refuses a cache in memory that the machine, the job or the container cannot hold.

    Raises:
        InputError: Saying what is needed, what is available and what to do.
    """
    if sys.platform != "linux":
        raise InputError("cache='ram' needs Linux; use cache='disk', which is about as fast")
    needed, available = needed_memory(items), available_memory()
    if needed > _USABLE * available:
        pixels = sum(item.nbytes for item in items)
        raise InputError(
            f"cache='ram' needs {readable_size(needed)} of memory: {readable_size(pixels)} for the "
            f"pixels of {len(items)} photographs and masks, the rest while they are decoded. "
            f"Available here are {readable_size(available)}, of which a tenth is left for the "
            "training itself. Use cache='disk', or fewer or smaller photographs"
        )


class SharedMemory:
    """A nameless file in memory, which lives as long as any process has it open.

    Copies, also pickled ones in other processes of this user on this machine, open the same memory.

    Args:
        path: Its :attr:`path` in the process that has it open.

    Raises:
        InputError: If it cannot be opened from here.
    """

    def __init__(self, path: str) -> None:
        try:
            self._take(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            raise InputError(
                f"cache='ram': this process cannot open the memory of the one that filled it "
                f"({error}); use cache='disk'"
            ) from error

    @classmethod
    def make(cls, nbytes: int) -> SharedMemory:
        """Makes one of ``nbytes`` zeros, which take up memory as they are written to."""
        memory = cls.__new__(cls)
        # A folder such as /dev/shm would need room there, and keep its files after a kill.
        handle = os.memfd_create("mmseg_heritage")
        memory._take(handle)
        os.ftruncate(handle, nbytes)
        return memory

    def _take(self, handle: int) -> None:
        self.path = f"/proc/{os.getpid()}/fd/{handle}"
        weakref.finalize(self, os.close, handle)

    def __reduce__(self) -> tuple[type[SharedMemory], tuple[str]]:
        return SharedMemory, (self.path,)


@dataclass(frozen=True)
class Place:
    """Where the bytes of an array are.

    Attributes:
        file: Path of the file; empty for memory.
        offset: Position of the first byte.
        shape: Shape of the uint8 array.
    """

    file: str
    offset: int
    shape: tuple[int, ...]


class PixelCache:
    """Decoded arrays by the path of the file they come from; can be pickled.

    Args:
        places: Path of a photograph or mask -> its place.
        memory: What places without a file are in.
    """

    def __init__(self, places: Mapping[str, Place], memory: SharedMemory | None = None) -> None:
        self.places = places
        self.memory = memory

    def array(self, path: str) -> np.ndarray:
        """Maps the array of a file, copy-on-write: no other process sees what is written to it.

        Raises:
            InputError: If the cache's file was removed.
        """
        place = self.places[path]
        file = place.file or (self.memory.path if self.memory is not None else "")
        try:
            array = np.memmap(file, np.uint8, "c", place.offset, place.shape)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{file}: the cached pixels of {path} are gone ({error}); start the run again, "
                "which decodes them again"
            ) from error
        return array.view(np.ndarray)


def fill_memory(items: Sequence[CacheItem], progress: Progress | None = None) -> PixelCache:
    """Decodes everything into memory, in threads.

    Args:
        items: What to keep.
        progress: Called with (done, total) after each file.

    Raises:
        InputError: If it does not fit, or with the faults of all files.
    """
    check_memory(items)
    places: dict[str, Place] = {}
    end = 0
    for item in items:
        places[item.path] = Place("", end, item.shape)
        end += -(-item.nbytes // _ALIGNMENT) * _ALIGNMENT
    memory = SharedMemory.make(end)

    def keep(item: CacheItem) -> None:
        place = places[item.path]
        np.memmap(memory.path, np.uint8, "r+", place.offset, place.shape)[...] = item.decode()

    run_in_threads(keep, items, progress)
    return PixelCache(places, memory)
