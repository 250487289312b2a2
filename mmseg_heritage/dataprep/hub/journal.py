"""What has been written so far: an interrupted preparation goes on, a second does nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import check_empty, replacing, sha256, write_json
from mmseg_heritage.utils.progress import Progress

SCHEMA = "mmseg_heritage/prepared/1"
MANIFEST = "manifest.json"
JOURNAL = ".prepare.jsonl"
FOLDERS = {"image": "images", "annotation": "annotations"}
"""Column -> folder of its files below the data root."""


@dataclass(frozen=True)
class Written:
    """One file that was written.

    Attributes:
        id: Sample it belongs to.
        column: "image" or "annotation".
        file: Path below the data root, with "/".
        bytes: Length of the file.
        sha256: Of the file.
        size: (width, height) in pixels as displayed.
        stored: Format and mode in the Parquet file, such as "TIFF I".
        stored_size: (width, height) in the Parquet file, as displayed.
        expected: Of a mask, with ``max_side``: pixels of the 16 classes if each kept its share.
        kept: Likewise, pixels of the 16 classes that are in the file.
    """

    id: str
    column: str
    file: str
    bytes: int
    sha256: str
    size: list[int]
    stored: str
    stored_size: list[int]
    expected: list[int] | None = None
    kept: list[int] | None = None


class Journal:
    """The record of a folder that is being prepared.

    A folder has either a manifest, and is complete, or a journal, to which each file is added once
    it is in place. Where a kill left both, they say the same.

    Args:
        root: Folder to prepare: absent, empty, or of an earlier preparation.
        origin: What the folder is made from and how; an earlier preparation must be of the same.
        ids: Of all rows.

    Attributes:
        written: (id, column) -> file.
        skipped: Id -> what is wrong, of the rows that a complete folder was made without.
        metadata_sha256: Of metadata.csv as an earlier preparation wrote it.

    Raises:
        InputError: If the folder holds something else, or was made from something else.
    """

    def __init__(self, root: Path, origin: dict[str, Any], ids: Container[str]) -> None:
        self.root = root
        self.origin = {"schema": SCHEMA, **origin}
        self.written: dict[tuple[str, str], Written] = {}
        self.skipped: dict[str, list[str]] = {}
        self.metadata_sha256: str | None = None
        self._load(ids)

    def _load(self, ids: Container[str]) -> None:
        """Reads the record of an earlier run."""
        manifest, journal = self.root / MANIFEST, self.root / JOURNAL
        path = manifest if manifest.is_file() else journal
        if not path.is_file():
            check_empty(self.root, ignore_hidden=True)
            return
        try:
            text = path.read_text(encoding="utf-8")
            if path == manifest:
                content = json.loads(text)
                records, self.skipped = content["files"], dict(content["skipped"])
            else:
                head, *lines = text.splitlines()
                content, records = json.loads(head), filter(None, map(_parsed, lines))
            self._check_origin(content, path)
            self.metadata_sha256 = content["metadata_sha256"]
            for written in (Written(**record) for record in records):
                file = PurePosixPath(written.file)
                # Files are removed by what this says: it must not point anywhere else.
                if written.id not in ids or file.stem != written.id:
                    raise ValueError(f"the file {written.file!r} is of no row")
                if file.parent != PurePosixPath(FOLDERS[written.column]):
                    raise ValueError(f"the file {written.file!r} is in the wrong folder")
                self.written[written.id, written.column] = written
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: the record of the earlier preparation cannot be read ({error!r}); "
                "prepare into another folder, or remove this one"
            ) from error

    def _check_origin(self, content: dict[str, Any], path: Path) -> None:
        problems = []
        for key, value in self.origin.items():
            found = content[key]
            if key == "shards" and found != value:
                same = sum(shard in found for shard in value)
                problems.append(
                    f"Parquet files: {len(found)} before, {len(value)} now, {same} the same"
                )
            elif found != value:
                problems.append(f"{key}: {found!r} before, {value!r} now")
        if problems:
            raise InputError(
                f"{path}: this folder was prepared from something else or in another way; give "
                "the same sources and options, or another folder",
                problems,
            )

    def verify(self, progress: Progress | None) -> None:
        """Compares all recorded files with their hashes; forgets those that are gone.

        Raises:
            InputError: With all files that were changed since.
        """
        problems = []
        recorded = list(self.written.items())
        for done, (key, written) in enumerate(recorded, start=1):
            path = self.root / written.file
            try:
                if not path.is_file():
                    del self.written[key]
                elif path.stat().st_size != written.bytes or sha256(path) != written.sha256:
                    problems.append(f"{path}: changed since it was prepared")
            except OSError as error:
                problems.append(f"{path}: cannot be read ({error.strerror})")
            if progress is not None:
                progress(done, len(recorded))
        if problems:
            raise InputError(
                "files of the prepared folder were changed. Remove them to have them made again, "
                "or work on a copy of the folder",
                problems,
            )

    def start(self) -> None:
        """Writes the journal again, with what is known, and without the half line of a kill."""
        head = {**self.origin, "metadata_sha256": self.metadata_sha256}
        lines = [head, *map(asdict, self.written.values())]
        with replacing(self.root / JOURNAL) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
        (self.root / MANIFEST).unlink(missing_ok=True)

    def add(self, written: Written, content: bytes) -> None:
        """Writes a file whole, or not at all, and records it.

        Raises:
            InputError: If another file of this name is there.
        """
        path = self.root / written.file
        if path.exists() and sha256(path) != written.sha256:
            raise InputError(
                f"{path}: there is another file of this name; move it away and run this again"
            )
        with replacing(path) as temporary, temporary.open("wb") as file:
            file.write(content)
            _sync(file)  # some file systems tell only now that the disk is full
        with (self.root / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(written)) + "\n")
            _sync(file)
        self.written[written.id, written.column] = written

    def drop(self, key: tuple[str, str]) -> None:
        """Removes a file, if it was written; the journal forgets what is gone when it is read."""
        if written := self.written.pop(key, None):
            (self.root / written.file).unlink()

    def finish(self, content: dict[str, Any], files: Iterable[Written]) -> None:
        """Replaces the journal by the manifest."""
        head = {**self.origin, "metadata_sha256": self.metadata_sha256}
        write_json(self.root / MANIFEST, {**head, **content, "files": list(map(asdict, files))})
        (self.root / JOURNAL).unlink(missing_ok=True)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _parsed(line: str) -> dict[str, Any] | None:
    """Reads a line of the journal; None for one that a kill or a full disk cut off."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
