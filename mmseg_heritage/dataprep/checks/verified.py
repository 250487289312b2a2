"""Photographs and masks that were decoded and found sound: once, and not again by every command.

The record is a file in the data set's folder, ``verified.json``, written by ``check-data`` and by
the check before a training or a test, and read by the next of them. It vouches for a photograph
with its mask while both have the size in bytes and the time of change that they had, are read by
the same version of the readers and judged by the same list of classes. A file that was changed in
place, with its size and its time of change kept, is not noticed: ``check-data --full`` decodes
everything.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmseg_heritage.dataprep.checks.faults import KINDS, Fault
from mmseg_heritage.dataprep.checks.pixels import Examined, examine
from mmseg_heritage.images.image_files import max_pixels
from mmseg_heritage.images.reader_version import reader_version
from mmseg_heritage.taxonomy import ClassList
from mmseg_heritage.utils.file_state import FileState, file_state
from mmseg_heritage.utils.files import replacing, sha256

SCHEMA = "mmseg_heritage/verified/1"
VERIFIED_FILE = "verified.json"
"""Name of the record in the folder of a data set."""

_LOG = logging.getLogger(__name__)
_Key = tuple[str, str]  # photograph and mask, relative to the folder of the data set


class _Entry(NamedTuple):
    """A photograph and its mask as they were when they were decoded."""

    image: FileState
    annotation: FileState
    found: Examined


def classes_hash(classes: ClassList) -> str:
    """Returns a hash of a list of classes: other mask values may be allowed under another list."""
    named = [(c.id, c.name) for c in classes.classes]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


class VerifiedFiles:
    """The record of one data set. Threads may share it.

    A record that is damaged, was edited, or is of other readers or classes is ignored as a whole,
    and replaced by the next check.

    Args:
        root: Folder of the data set.
        classes: Those that masks may have.
        full: Whether to decode all files, whatever the record says.
    """

    def __init__(self, root: str | Path, classes: ClassList, full: bool = False) -> None:
        self.root = Path(root)
        self.classes = classes
        self._classes_hash = classes_hash(classes)
        self._reader = _reader()
        self._entries: dict[_Key, _Entry] = {} if full else self._load()
        self._judged: dict[_Key, _Entry | None] = {}  # None is not sound

    @property
    def file(self) -> Path:
        """Where the record is."""
        return self.root / VERIFIED_FILE

    def find(self, image: Path, annotation: Path) -> Examined | None:
        """Returns what was found in a photograph and its mask if both are unchanged, else None."""
        entry = self._entries.get(self._key(image, annotation))
        if entry is None or _states(image, annotation) != (entry.image, entry.annotation):
            return None
        width, height = entry.found.size or (0, 0)
        return entry.found if width * height <= max_pixels() else None

    def examine(self, image: Path | None, annotation: Path | None) -> Examined:
        """Returns what is recorded, or decodes the files and notes them if they are sound.

        Args:
            image: File of the photograph, if there is one.
            annotation: File of the mask, if there is one.
        """
        if image is None or annotation is None:
            return examine(image, annotation, self.classes)
        if (known := self.find(image, annotation)) is not None:
            return known
        states = _states(image, annotation)  # before reading: a later change must not go unnoticed
        found = examine(image, annotation, self.classes)
        is_sound = states is not None and all(KINDS[f.kind].is_warning for f in found.faults)
        key = self._key(image, annotation)
        self._judged[key] = None
        if states is not None and is_sound:
            self._entries[key] = self._judged[key] = _Entry(*states, found)
        return found

    def save(self) -> None:
        """Writes what was decoded, beside what another process has written meanwhile.

        Files that are gone are dropped. Where the folder cannot be written to, one line of the log
        says so, and the next command decodes the files again.
        """
        if not self._judged:
            return
        files = [
            self._as_json(*key, entry)
            for key, entry in sorted({**self._load(warn=False), **self._judged}.items())
            if entry is not None and all((self.root / name).exists() for name in key)
        ]
        head = {"schema": SCHEMA, "reader": self._reader, "classes": self._classes_hash}
        content = {**head, "sha256": _digest(files), "files": files}
        try:
            with replacing(self.file) as temporary:
                temporary.write_text(json.dumps(content), encoding="utf-8")
        except OSError as error:
            reason = error.strerror or error
            _LOG.warning(
                "%s: cannot be written (%s); the next check decodes all files", self.file, reason
            )
        self._judged.clear()

    def _key(self, image: Path, annotation: Path) -> _Key:
        return self._inside(image), self._inside(annotation)

    def _inside(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.root)).as_posix()

    def _load(self, warn: bool = True) -> dict[_Key, _Entry]:
        """Reads the record; what cannot be trusted counts as empty."""
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            if content["schema"] != SCHEMA or content["sha256"] != _digest(content["files"]):
                raise ValueError("it was edited")
            if (content["reader"], content["classes"]) != (self._reader, self._classes_hash):
                return {}
            return dict(self._from_json(entry) for entry in content["files"])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            if warn:
                _LOG.warning("%s: ignored, since it is damaged (%r)", self.file, error)
            return {}

    def _as_json(self, image: str, annotation: str, entry: _Entry) -> dict[str, Any]:
        found = entry.found
        return {
            "image": [image, *entry.image],
            "annotation": [annotation, *entry.annotation],
            "size": found.size,
            "digest": found.digest,
            "hash": found.hash,
            "class_pixels": None if found.class_pixels is None else found.class_pixels.tolist(),
            "warnings": [[f.kind, self._inside(f.file), f.message] for f in found.faults],
        }

    def _from_json(self, entry: dict[str, Any]) -> tuple[_Key, _Entry]:
        (image, *image_state), (annotation, *mask_state) = entry["image"], entry["annotation"]
        width, height = map(int, entry["size"])
        counts = np.array(entry["class_pixels"], dtype=np.int64)
        is_whole = counts.shape == (len(self.classes.ids) + 1,) and (counts >= 0).all()
        if not is_whole or counts.sum() != width * height:
            raise ValueError(f"the pixels of {annotation} are not as many as it has")
        if not 0 <= int(entry["hash"]) < 1 << 64:
            raise ValueError(f"the hash of {image} has not 64 bits")
        found = Examined(
            faults=tuple(
                Fault(kind, self.root / file, message) for kind, file, message in entry["warnings"]
            ),
            size=(width, height),
            digest=str(entry["digest"]),
            hash=int(entry["hash"]),
            class_pixels=counts,
        )
        if not all(fault.kind in KINDS for fault in found.faults):
            raise ValueError(f"the warnings on {image} are of no known kind")
        states = FileState(*map(int, image_state)), FileState(*map(int, mask_state))
        return (str(image), str(annotation)), _Entry(*states, found)


def _states(image: Path, annotation: Path) -> tuple[FileState, FileState] | None:
    """Returns the states of both files; None where one is missing."""
    try:
        return file_state(image), file_state(annotation)
    except OSError:
        return None


def _digest(files: Sequence[object]) -> str:
    """Returns the SHA-256 by which an edited record is known."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _reader() -> str:
    """Names the code that decodes and that judges what was decoded."""
    checks = sorted(Path(__file__).parent.glob("*.py"))
    code = " ".join([reader_version(), *map(sha256, checks)])
    return hashlib.sha256(code.encode()).hexdigest()
