"""What has been written so far: an interrupted preparation goes on, a second does nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.files import replacing, sha256

SCHEMA = "mmseg_heritage/prepared/1"
MANIFEST = "manifest.json"
JOURNAL = ".prepare.jsonl"


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
        kept: Likewise, pixels of the 16 classes.
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

    Each file gets a line once it is in place. When all are, the manifest takes the place of the
    journal.

    Args:
        root: Folder to prepare: absent, empty, or of an earlier preparation.
        origin: What the folder is made from and how; an earlier preparation must be of the same.

    Attributes:
        written: (id, column) -> file.
        metadata_sha256: Of metadata.csv as an earlier preparation wrote it.

    Raises:
        InputError: If the folder holds something else, or was made from something else.
    """

    def __init__(self, root: Path, origin: dict[str, Any]) -> None:
        self.root = root
        self.origin = origin
        self.written: dict[tuple[str, str], Written] = {}
        self.metadata_sha256: str | None = None
        self._load()

    def _load(self) -> None:
        """Reads the record of an earlier run."""
        manifest, journal = self.root / MANIFEST, self.root / JOURNAL
        try:
            if manifest.is_file():
                content = json.loads(manifest.read_text(encoding="utf-8"))
                self._check_origin(content, manifest)
                records = content["files"]
                self.metadata_sha256 = content["metadata_sha256"]
            elif journal.is_file():
                head, *lines = journal.read_text(encoding="utf-8").splitlines()
                self._check_origin(json.loads(head), journal)
                records = [record for record in map(_parsed, lines) if record is not None]
            else:
                self._check_empty()
                return
            for record in records:
                written = Written(**record)
                self.written[written.id, written.column] = written
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self.root}: the record of the earlier preparation cannot be read ({error!r}); "
                f"prepare into another folder, or remove this one"
            ) from error

    def _check_origin(self, content: dict[str, Any], path: Path) -> None:
        problems = []
        for key, value in {"schema": SCHEMA, **self.origin}.items():
            if key == "shards" and content[key] != value:
                same = sum(shard in content[key] for shard in value)
                problems.append(
                    f"Parquet files: {len(content[key])} before, {len(value)} now, {same} the same"
                )
            elif content.get(key) != value:
                problems.append(f"{key}: {content.get(key)!r} before, {value!r} now")
        if problems:
            raise InputError(
                f"{path}: this folder was prepared from something else or in another way; give "
                "the same sources and options, or another folder",
                problems,
            )

    def _check_empty(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"{self.root}: expected a folder to write to, found a file")
        found = [path for path in self.root.glob("*") if not path.name.startswith(".")]
        if found:
            raise InputError(
                f"{self.root}: the folder holds other files, such as {found[0].name}; "
                "give one that is empty or new"
            )

    def verify(self, progress: Callable[[int, int], None] | None) -> None:
        """Compares all recorded files with their hashes; forgets those that are gone.

        Raises:
            InputError: With all files that were changed since.
        """
        problems = []
        recorded = list(self.written.items())
        for done, (key, written) in enumerate(recorded, start=1):
            path = self.root / written.file
            if not path.is_file():
                del self.written[key]
            elif path.stat().st_size != written.bytes or sha256(path) != written.sha256:
                problems.append(f"{path}: changed since it was prepared")
            if progress is not None:
                progress(done, len(recorded))
        if problems:
            raise InputError(
                "files of the prepared folder were changed. Remove them to have them made again, "
                "or work on a copy of the folder",
                problems,
            )

    def start(self) -> None:
        """Writes the journal anew, with what is known, and without the half line of a kill."""
        lines = [{"schema": SCHEMA, **self.origin}, *map(asdict, self.written.values())]
        with replacing(self.root / JOURNAL) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    def add(self, written: Written) -> None:
        """Records a file that is in place."""
        self.written[written.id, written.column] = written
        with (self.root / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(written)) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _parsed(line: str) -> dict[str, Any] | None:
    """Reads a line of the journal; None for one that a kill or a full disk cut off."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
