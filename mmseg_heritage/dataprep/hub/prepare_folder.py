"""Writing the rows of the Parquet files as images, annotations, metadata.csv and manifest.json."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mmseg_heritage.dataprep.hub.convert import convert_annotation, convert_image
from mmseg_heritage.dataprep.hub.download import DEFAULT_NUM_ROWS, DEFAULT_REVISION
from mmseg_heritage.dataprep.hub.journal import FOLDERS, JOURNAL, MANIFEST, Journal, Written
from mmseg_heritage.dataprep.hub.shards import (
    IMAGE_COLUMNS,
    Row,
    find_shards,
    is_commit,
    read_images,
    read_rows,
    require_pyarrow,
    revision_of,
)
from mmseg_heritage.dataprep.hub.shrink import ClassLoss, class_losses
from mmseg_heritage.dataprep.metadata_table import metadata_bytes
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import remove_temporaries, replacing, sha256
from mmseg_heritage.utils.folder_lock import locked_folder
from mmseg_heritage.utils.progress import Bar, Progress, no_bar
from mmseg_heritage.version import __version__

METADATA = "metadata.csv"


@dataclass(frozen=True)
class Prepared:
    """Result of :func:`prepare`.

    Attributes:
        root: The folder.
        revision: Commit of the data set on the hub, where it is known.
        num_samples: Photographs with annotation in it.
        num_bytes: Length of all images and annotations.
        num_written: Images and annotations written by this call; 0 where all was done before.
        num_kept: Those of an earlier call, compared with their hashes.
        skipped: Id -> what is wrong, of rows left out with ``skip_faulty``.
        losses: Where ``max_side`` is given, one for each class that occurs.
    """

    root: Path
    revision: str | None
    num_samples: int
    num_bytes: int
    num_written: int
    num_kept: int
    skipped: dict[str, list[str]]
    losses: list[ClassLoss]


def prepare(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    max_side: int | None = None,
    revision: str | None = None,
    num_rows: int | None = None,
    skip_faulty: bool = False,
    bar: Bar = no_bar,
) -> Prepared:
    """Writes the data set as files; goes on where an earlier call was interrupted.

    Photographs keep the bytes they have in the Parquet files. Masks become 8-bit PNG of class ids.
    Every file is decoded and checked before it is written, one at a time. A call after the last
    only compares the files with their hashes. A metadata.csv that the user has edited is kept.

    Args:
        sources: As :func:`mmseg_heritage.dataprep.hub.shards.find_shards` takes them.
        out: Folder to make: absent, empty, or of an earlier call with the same arguments.
        max_side: Makes photographs and masks smaller, to a long side of so many pixels; photographs
            that are larger become 8-bit PNG in sRGB. See :func:`shrink_mask` for the masks.
        revision: Commit of the data set on the hub, for the manifest; by default taken from the
            place of the files in the Hugging Face cache.
        num_rows: How many rows there must be; by default 418 where the revision is the one that
            has so many, and else any number.
        skip_faulty: Leaves out rows whose image or annotation cannot be used, and lists them in the
            manifest, instead of failing when all others are done.
        bar: Shows progress.

    Raises:
        InputError: If the sources or the folder cannot be used, with all problems; if rows are
            faulty; or if the disk is full. What was written until then is kept.
    """
    out = Path(out)
    require_pyarrow()
    if max_side is not None and max_side < 1:
        raise InputError(f"max_side: expected a number of pixels of at least 1, found {max_side}")
    shards = find_shards(sources, revision)
    revision = _checked_revision(shards, revision)
    rows = read_rows(shards)
    _check_num_rows(rows, shards, revision, num_rows)
    with bar("hashing the Parquet files") as report:
        hashes = _hashes(shards, report)
    origin = {"revision": revision, "shards": hashes, "max_side": max_side}
    with locked_folder(out.absolute()):
        journal = Journal(out, origin, {row.id for row in rows})
        if journal.written:
            with bar("verifying the files of the earlier run") as report:
                journal.verify(report)
        work = _Work(journal, rows, max_side, journal.skipped if skip_faulty else {})
        try:
            for folder in (".", *FOLDERS.values()):
                remove_temporaries(out / folder, alone=True)
            if work.num_missing:
                journal.start()
                with bar("writing images and annotations") as report:
                    work.run(shards, report)
            return _finish(work, skip_faulty)
        except OSError as error:
            raise InputError(
                f"{error.filename or out}: cannot be written ({error.strerror or error}). "
                f"{len(journal.written)} of {len(IMAGE_COLUMNS) * len(rows)} files are done. Make "
                "room or fix it, and run this again: it goes on from there"
            ) from error


def _checked_revision(shards: Sequence[Path], revision: str | None) -> str | None:
    """Returns the commit that the files are of; the place in a cache knows better than a name."""
    found = revision_of(shards)
    if found is not None and is_commit(revision) and revision != found:
        raise InputError(
            f"revision: expected {revision}, found files of {found}",
            [str(path) for path in shards],
        )
    return found or revision


def _check_num_rows(
    rows: Sequence[Row], shards: Sequence[Path], revision: str | None, num_rows: int | None
) -> None:
    reason = ""
    if num_rows is None and revision == DEFAULT_REVISION:
        num_rows, reason = DEFAULT_NUM_ROWS, f", as revision {revision} has"
    if num_rows is not None and len(rows) != num_rows:
        raise InputError(
            f"expected {num_rows} rows{reason}, found {len(rows)} in {len(shards)} files; give all "
            f"files, or --num-rows {len(rows)} if you mean these"
        )


def _hashes(shards: Sequence[Path], report: Progress | None) -> list[dict[str, str | int]]:
    """Hashes the Parquet files, and compares those in a Hugging Face cache with the hub's hash."""
    hashes: list[dict[str, str | int]] = []
    problems = []
    for done, shard in enumerate(shards, start=1):
        try:
            digest = sha256(shard)
            hashes.append({"file": shard.name, "bytes": shard.stat().st_size, "sha256": digest})
        except OSError as error:
            problems.append(f"{shard}: cannot be read ({error.strerror})")
            continue
        blob = shard.resolve()  # the cache names the content of a large file by its SHA-256
        is_named = blob.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", blob.name)
        if is_named and blob.name != digest:
            problems.append(f"{shard}: damaged; remove {blob} and download it again")
        if report is not None:
            report(done, len(shards))
    if problems:
        raise InputError("the Parquet files cannot be used", problems)
    return hashes


class _Work:
    """The files still to be written, and what is wrong with those that cannot be.

    Args:
        journal: What is written.
        rows: All rows.
        max_side: As :func:`prepare`.
        skipped: Id -> what is wrong, of rows that are known to be faulty.

    Attributes:
        problems: Id -> what is wrong, of all rows that are left out.
        kept: (id, column) of the files of an earlier run.
        num_missing: How many files are to be written.
    """

    def __init__(
        self,
        journal: Journal,
        rows: Sequence[Row],
        max_side: int | None,
        skipped: dict[str, list[str]],
    ) -> None:
        self.journal = journal
        self.rows = rows
        self.max_side = max_side
        self.problems = dict(skipped)
        self.kept = set(journal.written)
        self.num_missing = sum(len(self._missing(column)) for column in IMAGE_COLUMNS)

    def _missing(self, column: str) -> list[Row]:
        return [
            row
            for row in self.rows
            if row.id not in self.problems and (row.id, column) not in self.journal.written
        ]

    def run(self, shards: Sequence[Path], report: Progress | None) -> None:
        """Writes what is missing, first the images of a shard, then its annotations.

        pyarrow may hold a whole column of a row group: so it holds only one of the two.
        """
        missing = {column: self._missing(column) for column in IMAGE_COLUMNS}
        done = 0
        for shard in shards:
            for column, rows in missing.items():
                wanted = {row.index: row for row in rows if row.shard == shard}
                for index, content in read_images(shard, column, wanted):
                    self._take(wanted[index], column, content)
                    del content  # or it stays in memory while the next one is read
                    done += 1
                    if report is not None:
                        report(done, self.num_missing)

    def _take(self, row: Row, column: str, content: bytes | None) -> None:
        """Writes one file, or notes why the row cannot be used."""
        label = f"{row.shard.name}, row {row.index} ({row.id}), {column}"
        try:
            written, content = self._convert(row, column, content, label)
        except InputError as error:
            self.problems.setdefault(row.id, []).append(str(error))
            self.journal.drop((row.id, "image"))
            return
        if row.id not in self.problems:  # not the annotation of a faulty image
            self.journal.add(written, content)

    def _convert(
        self, row: Row, column: str, content: bytes | None, label: str
    ) -> tuple[Written, bytes]:
        if not content:
            raise InputError(f"{label}: no bytes; the image is not inside the Parquet file")
        if column == "image":
            return convert_image(row.id, content, label, self.max_side)
        image = self.journal.written.get((row.id, "image"))
        size = None if image is None else image.stored_size
        return convert_annotation(row.id, content, label, self.max_side, size)


def _finish(work: _Work, skip_faulty: bool) -> Prepared:
    """Writes metadata and manifest when all files are there."""
    journal = work.journal
    skipped = {row.id: work.problems[row.id] for row in work.rows if row.id in work.problems}
    problems = [problem for problems in skipped.values() for problem in problems]
    if problems and not skip_faulty:
        raise InputError(
            f"{len(skipped)} of {len(work.rows)} rows cannot be used; all others are "
            "written. Download the Parquet files again, or leave these rows out with --skip-faulty",
            problems,
        )
    rows = [row for row in work.rows if row.id not in skipped]
    if not rows:
        raise InputError("no row of the Parquet files can be used", problems)
    files = [journal.written[row.id, column] for row in rows for column in IMAGE_COLUMNS]
    losses = class_losses([(file.expected, file.kept) for file in files])
    _write_metadata(journal, metadata_bytes([row.texts for row in rows]))
    if not (journal.root / MANIFEST).is_file():
        content = {
            "version": __version__,
            "num_samples": len(rows),
            "skipped": skipped,
            "losses": [asdict(loss) for loss in losses],
        }
        journal.finish(content, files)
    (journal.root / JOURNAL).unlink(missing_ok=True)
    num_kept = sum((file.id, file.column) in work.kept for file in files)
    return Prepared(
        root=journal.root,
        revision=journal.origin["revision"],
        num_samples=len(rows),
        num_bytes=sum(file.bytes for file in files),
        num_written=len(files) - num_kept,
        num_kept=num_kept,
        skipped=skipped,
        losses=losses,
    )


def _write_metadata(journal: Journal, content: bytes) -> None:
    """Writes metadata.csv, unless it is there already, or is what the user made of it."""
    path = journal.root / METADATA
    digest = hashlib.sha256(content).hexdigest()
    if not path.exists() or (digest != journal.metadata_sha256 == sha256(path)):
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    journal.metadata_sha256 = digest
