"""Writing the rows of the Parquet files as images, annotations, metadata.csv and manifest.json."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from mmseg_heritage.data.hub.journal import JOURNAL, MANIFEST, SCHEMA, Journal, Written
from mmseg_heritage.data.hub.shards import (
    IMAGE_COLUMNS,
    Row,
    find_shards,
    read_images,
    read_rows,
    revision_of,
)
from mmseg_heritage.data.hub.shrink import expected_pixels, shrink_image, shrink_mask, shrunk_size
from mmseg_heritage.data.images import ImageHeader, image_header, read_image, read_mask
from mmseg_heritage.data.statistics import NUM_CLASSES, Bar, Progress, class_pixels, no_bar
from mmseg_heritage.errors import InputError
from mmseg_heritage.files import replacing, sha256, write_json
from mmseg_heritage.taxonomy import FINE
from mmseg_heritage.version import __version__

_SUFFIXES = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "WEBP": ".webp",
}
_FOLDERS = {"image": "images", "annotation": "annotations"}


@dataclass(frozen=True)
class ClassLoss:
    """What making masks smaller did to one class.

    Attributes:
        name: Of the class.
        images: Masks that have it before.
        lost_in: Masks that do not have it afterwards.
        expected: Pixels after scaling if it kept its share of the area in each mask.
        kept: Pixels that it has.
    """

    name: str
    images: int
    lost_in: int
    expected: int
    kept: int


@dataclass(frozen=True)
class Prepared:
    """Result of :func:`prepare`.

    Attributes:
        root: The folder.
        num_samples: Photographs with annotation in it.
        num_written: Files written by this call; 0 where all was done before.
        skipped: Id -> what is wrong, of rows left out with ``skip_faulty``.
        losses: Where ``max_side`` is given, one for each class that occurs.
    """

    root: Path
    num_samples: int
    num_written: int
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
    only compares the files with their hashes.

    Args:
        sources: As :func:`mmseg_heritage.data.hub.shards.find_shards` takes them.
        out: Folder to make: absent, empty, or of an earlier call with the same arguments.
        max_side: Makes photographs and masks smaller, to a long side of so many pixels; photographs
            that are larger become 8-bit PNG in sRGB. See :func:`shrink_mask` for the masks.
        revision: Commit of the data set on the hub, for the manifest; by default taken from the
            place of the files in the Hugging Face cache.
        num_rows: How many rows there must be.
        skip_faulty: Leaves out rows whose image or annotation cannot be used, and lists them in the
            manifest, instead of failing when all others are done.
        bar: Shows progress.

    Raises:
        InputError: If the sources or the folder cannot be used, with all problems; if rows are
            faulty; or if the disk is full. What was written until then is kept.
    """
    out = Path(out)
    if max_side is not None and max_side < 1:
        raise InputError(f"max_side: expected a number of pixels of at least 1, found {max_side}")
    shards = find_shards(sources)
    rows = read_rows(shards)
    if num_rows is not None and len(rows) != num_rows:
        raise InputError(
            f"expected {num_rows} rows in all, found {len(rows)} in {len(shards)} files"
        )
    with bar("hashing the Parquet files") as report:
        hashes = _hashes(shards, report)
    origin = {
        "revision": revision or revision_of(shards),
        "shards": hashes,
        "max_side": max_side,
    }
    journal = Journal(out, origin)
    if journal.written:
        with bar("verifying the files of the earlier run") as report:
            journal.verify(report)
    try:
        work = _Work(journal, rows, max_side)
        if work.pending():
            journal.start()
            _remove_leftovers(out, rows)
            with bar("writing images and annotations") as report:
                work.run(shards, report)
        return _finish(work, skip_faulty)
    except OSError as error:
        done = len(journal.written)
        raise InputError(
            f"{error.filename or out}: cannot be written ({error.strerror or error}). {done} of "
            f"{2 * len(rows)} files are done; make room and run this again, it goes on from there"
        ) from error


def _hashes(shards: Sequence[Path], report: Progress | None) -> list[dict[str, str]]:
    hashes = []
    for done, shard in enumerate(shards, start=1):
        hashes.append({"file": shard.name, "sha256": sha256(shard)})
        if report is not None:
            report(done, len(shards))
    return hashes


def _remove_leftovers(out: Path, rows: Sequence[Row]) -> None:
    """Removes the temporary files that a killed run left beside its files."""
    starts = {f".{row.id[:32]}-" for row in rows}
    for folder in _FOLDERS.values():
        for path in (out / folder).glob(".*-????????.*"):
            if path.name[: path.name.rindex("-") + 1] in starts:
                path.unlink()


class _Work:
    """The files still to be written, and what is wrong with those that cannot be."""

    def __init__(self, journal: Journal, rows: Sequence[Row], max_side: int | None) -> None:
        self.journal = journal
        self.rows = rows
        self.max_side = max_side
        self.problems: dict[str, list[str]] = {}
        self.num_written = 0
        self._num_before = len(journal.written)

    def pending(self) -> bool:
        """Whether a file is missing."""
        return len(self.journal.written) < len(IMAGE_COLUMNS) * len(self.rows)

    def run(self, shards: Sequence[Path], report: Progress | None) -> None:
        """Writes what is missing, first the images of a shard, then its annotations.

        pyarrow may hold a whole column of a row group: so it holds only one of the two.
        """
        total = len(IMAGE_COLUMNS) * len(self.rows) - self._num_before
        done = 0
        for shard in shards:
            for column in IMAGE_COLUMNS:
                wanted = {
                    row.index: row
                    for row in self.rows
                    if row.shard == shard and (row.id, column) not in self.journal.written
                }
                for index, content in read_images(shard, column, wanted):
                    self._take(wanted[index], column, content)
                    done += 1
                    if report is not None:
                        report(done, total)

    def _take(self, row: Row, column: str, content: bytes | None) -> None:
        """Writes one file, or notes why not."""
        label = f"{row.shard.name}, row {row.index} ({row.id}), {column}"
        try:
            if not content:
                raise InputError(f"{label}: no bytes; the image is not inside the Parquet file")
            write = self._write_image if column == "image" else self._write_annotation
            self.journal.add(write(row.id, content, label))
            self.num_written += 1
        except InputError as error:
            self.problems.setdefault(row.id, []).append(str(error))

    def _write_image(self, sample_id: str, content: bytes, label: str) -> Written:
        header = image_header(content, label)
        if header.format not in _SUFFIXES:
            raise InputError(
                f"{label}: format {header.format}; expected one of {', '.join(sorted(_SUFFIXES))}"
            )
        pixels = read_image(content, label)
        size = shrunk_size(header.size, self.max_side)
        suffix = _SUFFIXES[header.format]
        if size != header.size:
            content, suffix = _png(shrink_image(pixels, size)), ".png"
        return self._put(sample_id, "image", suffix, content, header, size)

    def _write_annotation(self, sample_id: str, content: bytes, label: str) -> Written:
        header = image_header(content, label)
        image = self.journal.written.get((sample_id, "image"))
        mask = read_mask(content, None if image is None else _pair(image.stored_size), label)
        if image is None:
            raise InputError(f"{label}: left out, since its image is")
        size = shrunk_size(header.size, self.max_side)
        if self.max_side is None:
            return self._put(
                sample_id, "annotation", ".png", _png(Image.fromarray(mask)), header, size
            )
        counts = class_pixels(mask)[:NUM_CLASSES]
        expected = expected_pixels(counts, mask.size, size[0] * size[1])
        if size != header.size:
            mask = shrink_mask(mask, size)
        written = self._put(
            sample_id, "annotation", ".png", _png(Image.fromarray(mask)), header, size
        )
        kept = class_pixels(mask)[:NUM_CLASSES]
        return replace(written, expected=expected.tolist(), kept=kept.tolist())

    def _put(
        self,
        sample_id: str,
        column: str,
        suffix: str,
        content: bytes,
        header: ImageHeader,
        size: tuple[int, int],
    ) -> Written:
        """Writes a file whole, or not at all; one that is there already must be the same."""
        file = f"{_FOLDERS[column]}/{sample_id}{suffix}"
        path = self.journal.root / file
        digest = hashlib.sha256(content).hexdigest()
        if path.exists() and sha256(path) != digest:
            raise InputError(f"{path}: there is another file of this name; move it away")
        with replacing(path) as temporary:
            temporary.write_bytes(content)
        return Written(
            id=sample_id,
            column=column,
            file=file,
            bytes=len(content),
            sha256=digest,
            size=list(size),
            stored=f"{header.format} {header.mode}",
            stored_size=list(header.size),
        )

    def leave_out_faulty(self) -> None:
        """Removes the image of each row whose annotation cannot be used."""
        for sample_id in self.problems:
            for column in IMAGE_COLUMNS:
                written = self.journal.written.pop((sample_id, column), None)
                if written is not None:
                    (self.journal.root / written.file).unlink()


def _pair(size: Sequence[int]) -> tuple[int, int]:
    width, height = size
    return width, height


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _finish(work: _Work, skip_faulty: bool) -> Prepared:
    """Writes metadata and manifest when all files are there."""
    journal = work.journal
    if work.problems and not skip_faulty:
        raise InputError(
            f"{len(work.problems)} rows cannot be used; all others are written. Mend the Parquet "
            "files, or leave these rows out with --skip-faulty",
            [problem for problems in work.problems.values() for problem in problems],
        )
    work.leave_out_faulty()
    rows = [row for row in work.rows if row.id not in work.problems]
    if not rows:
        problems = [problem for problems in work.problems.values() for problem in problems]
        raise InputError("no row of the Parquet files can be used", problems)
    files = [asdict(journal.written[row.id, column]) for row in rows for column in IMAGE_COLUMNS]
    losses = _losses([journal.written[row.id, "annotation"] for row in rows])
    metadata = _metadata(rows)
    manifest = {
        "schema": SCHEMA,
        **journal.origin,
        "version": __version__,
        "metadata_sha256": hashlib.sha256(metadata).hexdigest(),
        "files": files,
        "skipped": work.problems,
        "losses": [asdict(loss) for loss in losses],
    }
    if work.num_written or not (journal.root / MANIFEST).is_file():
        _write_metadata(journal, metadata)
        write_json(journal.root / MANIFEST, manifest)
    (journal.root / JOURNAL).unlink(missing_ok=True)
    return Prepared(journal.root, len(rows), work.num_written, work.problems, losses)


def _metadata(rows: Sequence[Row]) -> bytes:
    """Returns the texts of the rows as CSV in UTF-8."""
    names = list(dict.fromkeys(name for row in rows for name in row.texts))
    names.sort(key=lambda name: name != "id")
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, restval="")
    writer.writeheader()
    writer.writerows(row.texts for row in rows)
    return stream.getvalue().encode()


def _write_metadata(journal: Journal, content: bytes) -> None:
    """Writes metadata.csv, unless the user has added to it."""
    path = journal.root / "metadata.csv"
    if path.exists() and sha256(path) != journal.metadata_sha256:
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _losses(annotations: Sequence[Written]) -> list[ClassLoss]:
    """Sums what making masks smaller did to each class that occurs."""
    expected = np.array([a.expected for a in annotations if a.expected is not None])
    kept = np.array([a.kept for a in annotations if a.kept is not None])
    return [
        ClassLoss(
            name=FINE[class_id].name,
            images=int(np.count_nonzero(wanted)),
            lost_in=int(np.count_nonzero((wanted > 0) & (found == 0))),
            expected=int(wanted.sum()),
            kept=int(found.sum()),
        )
        for class_id, (wanted, found) in enumerate(zip(expected.T, kept.T, strict=True))
        if wanted.any()
    ]
