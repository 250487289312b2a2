"""Files of ``torch.save``, zip and legacy, read without running code from them.

The sizes that a file states are held against its real length before memory is taken.
"""

from __future__ import annotations

import io
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch.serialization import default_restore_location

from mmseg_heritage.utils.checkpoints.safe_builders import Malformed, Refused, Storage, StorageType
from mmseg_heritage.utils.checkpoints.safe_unpickler import SafeUnpickler, check_values

MapLocation: TypeAlias = str | torch.device | Mapping[str, str] | Callable[..., Any]

_MAX_PICKLE = 1 << 28  # bytes; the largest part is the log history, 24 bytes per logged number
_MAX_READ = 1 << 26
_MAX_LINE = 1 << 10
_BLOCK = 1 << 24
_MAGIC = 0x1950A86A20F9469CFC6C  # torch.serialization.MAGIC_NUMBER
_LEGACY_PROTOCOL = 1001
_ZIP_START = b"PK\x03\x04"
_PICKLE_START = b"\x80"
_LFS_START = b"version https://git-lfs"


def read_torch_file(path: Path, map_location: MapLocation) -> Any:
    """Reads what ``torch.save`` wrote.

    Args:
        path: The file.
        map_location: As in :func:`torch.load`.

    Returns:
        What was saved: tensors, numpy arrays and plain values in plain containers, and mmengine's
        log history; see :mod:`mmseg_heritage.utils.checkpoints.safe_builders`.

    Raises:
        Refused: If the file asks for anything else.
        Malformed: If it is no such file, or states sizes that it does not have. Damaged bytes may
            also raise other exceptions.
        OSError: If it cannot be read.
    """
    with _BoundedReader(path) as stream:
        start = stream.read(min(len(_LFS_START), stream.size))
        stream.seek(0)
        if start.startswith(_ZIP_START):
            content = _read_zip(stream, map_location)
        elif start.startswith(_PICKLE_START):
            content = _read_legacy(stream, map_location)
        elif start == _LFS_START:
            raise Malformed("a Git LFS pointer in place of the file; run: git lfs pull")
        elif not start:
            raise Malformed("the file is empty")
        else:
            raise Malformed(f"torch.save wrote no file that begins with {start[:8]!r}")
    check_values(content)
    return content


class _BoundedReader(io.BufferedReader):
    """A file that is read in pieces that fit into memory, whatever it asks for."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = max(0, self.size - self.tell())
        if size > _MAX_READ:
            raise Malformed(f"asks for {size} bytes in one piece")
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(_MAX_LINE)


def _restored(
    storage: torch.UntypedStorage, location: str, map_location: MapLocation
) -> torch.UntypedStorage:
    """Returns a storage on the device it is wanted on, as :func:`torch.load` decides it."""
    if callable(map_location):
        result = map_location(storage, location)
        return default_restore_location(storage, location) if result is None else result
    if isinstance(map_location, Mapping):
        return default_restore_location(storage, map_location.get(location, location))
    return default_restore_location(storage, str(map_location))


def _fill(size: int, stream: Any) -> torch.UntypedStorage:
    """Returns a storage of ``size`` bytes read from a stream."""
    data = torch.empty(size, dtype=torch.uint8)
    view = memoryview(data.numpy())
    done = 0
    while done < size:
        count = stream.readinto(view[done : done + _BLOCK])
        if not count:
            raise Malformed("the file ends within a tensor")
        done += count
    return data.untyped_storage()


class _ZipStorages:
    """The storages of a zip, each a record of its own, read when it is first asked for."""

    def __init__(self, archive: zipfile.ZipFile, prefix: str, size: int, to: MapLocation) -> None:
        self._archive, self._prefix, self._to = archive, prefix, to
        self._left = size
        self._read: dict[str, torch.UntypedStorage] = {}

    def __call__(
        self, kind: StorageType, key: str, location: str, elements: int, rest: tuple[Any, ...]
    ) -> Storage:
        info = _record(self._archive, f"{self._prefix}data/{key}")
        if elements * kind.dtype.itemsize != info.file_size or rest:
            raise Malformed(f"storage {key}: {elements} elements of {kind.dtype} are not stored")
        if key not in self._read:
            self._left -= info.file_size  # records may overlap in the file
            if self._left < 0:
                raise Malformed("the storages are larger than the file")
            with self._archive.open(info) as stream:  # at its end the check sum is verified
                storage = _fill(info.file_size, stream)
            self._read[key] = _restored(storage, location, self._to)
        return Storage(self._read[key], kind.dtype)


def _record(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """Returns the entry of a record that is stored as it is."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise Malformed(f"{name} is compressed")  # a small file could become any size
    return info


def _read_zip(stream: _BoundedReader, map_location: MapLocation) -> Any:
    """Reads the format of torch 1.6 and later: a zip of a pickle and one record per storage."""
    with zipfile.ZipFile(stream) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise Malformed("a zip file that torch.save did not write")
        prefix = pickles[0].removesuffix("data.pkl")
        if f"{prefix}constants.pkl" in names:
            raise Refused("TorchScript")
        if f"{prefix}byteorder" in names:
            with archive.open(_record(archive, f"{prefix}byteorder")) as record:
                _check_byte_order(record.read(16).decode())
        info = _record(archive, pickles[0])
        if info.file_size > _MAX_PICKLE:
            raise Malformed(f"{info.file_size} bytes beside the tensors; expected {_MAX_PICKLE}")
        with archive.open(info) as record:
            pickled = io.BytesIO(record.read())
        storages = _ZipStorages(archive, prefix, stream.size, map_location)
        return SafeUnpickler(pickled, storages, stream.size).load()


def _check_byte_order(order: str) -> None:
    if order != sys.byteorder:
        raise Malformed(
            f"written on a machine of byte order '{order}'; this one is {sys.byteorder}"
        )


class _LegacyStorages:
    """The storages of a legacy file, whose bytes follow after the pickle that refers to them."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.found: dict[str, tuple[torch.UntypedStorage, int, str]] = {}

    def __call__(
        self, kind: StorageType, key: str, location: str, elements: int, rest: tuple[Any, ...]
    ) -> Storage:
        if rest != (None,):
            raise Malformed(f"storage {key} is a part of another, as torch before 0.4 wrote it")
        size = elements * kind.dtype.itemsize
        if key not in self.found:
            self._left -= size
            if self._left < 0:
                raise Malformed("the storages are larger than the file")
            self.found[key] = torch.UntypedStorage(size), elements, location
        if self.found[key][0].nbytes() != size:
            raise Malformed(f"storage {key} has two sizes")
        return Storage(self.found[key][0], kind.dtype)


def _read_legacy(stream: _BoundedReader, map_location: MapLocation) -> Any:
    """Reads the format of torch before 1.6: pickles, then the bytes of the storages in turn.

    The content is unpickled twice: for the sizes of the storages, and with them filled.
    """

    def unpickled(storages: Callable[..., Storage] = _no_storage) -> Any:
        return SafeUnpickler(stream, storages, stream.size).load()

    if unpickled() != _MAGIC or unpickled() != _LEGACY_PROTOCOL:
        raise Malformed("a pickle that torch.save did not write")
    _check_byte_order("little" if unpickled()["little_endian"] else "big")
    start = stream.tell()
    storages = _LegacyStorages(stream.size)
    unpickled(storages)
    keys = unpickled()
    known = type(keys) is list and all(type(key) is str for key in keys)
    if not known or len(keys) != len(set(keys)) or set(keys) != set(storages.found):
        raise Malformed("the list of storages is not that of the tensors")
    filled = {}
    for key in keys:
        empty, elements, location = storages.found.pop(key)
        if struct.unpack("<q", stream.read(8)) != (elements,):
            raise Malformed(f"storage {key}: not the {elements} elements that the tensors have")
        filled[key] = _restored(_fill(empty.nbytes(), stream), location, map_location)
    stream.seek(start)
    return unpickled(lambda kind, key, *_: Storage(filled[key], kind.dtype))


def _no_storage(*_: Any) -> Storage:
    raise Malformed("a storage before the tensors")
