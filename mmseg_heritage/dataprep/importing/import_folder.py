"""Bringing another data set into the folder layout, by a mapping of its mask values."""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_heritage.dataprep.class_file import CLASSES_FILE, write_classes
from mmseg_heritage.dataprep.hub.convert import convert_image, encode_png
from mmseg_heritage.dataprep.importing.coded_masks import Coder, read_coded_mask
from mmseg_heritage.dataprep.importing.import_sources import Sources, find_sources
from mmseg_heritage.dataprep.importing.label_mapping import LabelMapping, load_mapping
from mmseg_heritage.dataprep.importing.mat_files import require_scipy
from mmseg_heritage.dataprep.metadata_table import metadata_bytes
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.utils.files import check_empty, making_folder, sha256, write_json
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.text import counted
from mmseg_heritage.utils.threads import run_in_threads
from mmseg_heritage.version import __version__

SCHEMA = "mmseg_heritage/import/1"
RECORD = "import.json"
"""File that says what a folder was made from."""


@dataclass(frozen=True)
class Imported:
    """Result of :func:`import_data`.

    Attributes:
        root: The folder.
        mapping: What the mask values meant.
        num_samples: Photographs with annotation in it.
        pixels: int64 (codes,), pixels of each code of the mapping.
        masks: int64 (codes,), masks that have it.
        left_out: Id -> what is wrong, of samples left out with ``skip_faulty``.
        notes: Id -> what the person should know of a mask that was drawn.
        num_orphans: Copies by the rule ``source_id`` whose photograph is not here.
    """

    root: Path
    mapping: LabelMapping
    num_samples: int
    pixels: NDArray[np.int64]
    masks: NDArray[np.int64]
    left_out: dict[str, list[str]]
    notes: dict[str, list[str]]
    num_orphans: int


@dataclass(frozen=True)
class _Result:
    """What became of one sample."""

    id: str
    coder: Coder
    problems: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def import_data(
    mapping: str | Path,
    images: str | Path,
    masks: str | Path,
    out: str | Path,
    *,
    table: str | Path | None = None,
    skip_faulty: bool = False,
    workers: int | None = None,
    bar: Bar = no_bar,
) -> Imported:
    """Writes another data set as images, annotations, metadata.csv and import.json.

    A mapping with classes of its own adds classes.json.

    Photographs keep their bytes. Masks become 8-bit PNG of class ids. Every file is decoded and
    checked. The folder appears when it is complete: a call that fails or is stopped leaves nothing
    under its name, and the next one begins again.

    Args:
        mapping: As :func:`mmseg_heritage.dataprep.importing.label_mapping.load_mapping` takes it.
        images: Folder of photographs; folders in it are not read.
        masks: Folder of masks, which may be the same one; or the file of a format that holds many.
        out: Folder to make: absent or empty.
        table: CSV with the columns that the mapping names.
        skip_faulty: Leaves out samples that lack a mask or a row, or cannot be decoded, and lists
            them in import.json, instead of failing.
        workers: Threads that decode; by default the cores, at most 8.
        bar: Shows progress.

    Raises:
        InputError: If an argument or the mapping cannot be used; with all files that cannot; with
            all mask values that the mapping does not name; or if the disk is full.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers: expected at least 1, found {workers}")
    label_mapping = load_mapping(mapping)
    if label_mapping.mat_variable:
        require_scipy()
    out = Path(out)
    check_empty(out)
    sources = find_sources(label_mapping, Path(images), Path(masks), table)
    _refuse(sources.left_out, skip_faulty)
    try:
        with making_folder(out) as folder:
            for name in ("images", "annotations"):
                (folder / name).mkdir()
            with bar("importing images and masks") as report:
                results = run_in_threads(
                    lambda i: _convert(i, sources, label_mapping, folder),
                    sources.ids,
                    report,
                    workers,
                )
            _refuse_unmapped(label_mapping, results)
            faulty = {result.id: result.problems for result in results if result.problems}
            _refuse(faulty, skip_faulty)
            sources.left_out.update(faulty)
            done = [result for result in results if not result.problems]
            if not done:
                raise InputError("no image is left to import", _lines(sources.left_out))
            imported = _summary(out, label_mapping, sources, done)
            _write_records(folder, imported, sources, done, table)
    except OSError as error:
        raise InputError(
            f"{error.filename or out}: cannot be read or written ({error.strerror or error}). "
            "Nothing is left behind; make room or fix it, and run this again"
        ) from error
    return imported


def _lines(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    return [problem for problems in left_out.values() for problem in problems]


def _refuse(left_out: Mapping[str, Sequence[str]], skip_faulty: bool) -> None:
    if left_out and not skip_faulty:
        raise InputError(
            f"{len(left_out)} images or masks cannot be used; nothing is written. Fix them, or "
            "leave them out with --skip-faulty",
            _lines(left_out),
        )


def _convert(sample_id: str, sources: Sources, mapping: LabelMapping, folder: Path) -> _Result:
    """Checks and writes one photograph and its mask, or says what is wrong with them."""
    image, mask = sources.images[sample_id], sources.masks[sample_id]
    coder = Coder(mapping)
    problems = []
    size = None
    try:
        written, content = convert_image(sample_id, image.read_bytes(), str(image), None)
        size = (written.size[0], written.size[1])
    except InputError as error:
        problems.append(str(error))
    except OSError as error:  # a link that leads nowhere, a file of somebody else
        problems.append(f"{image}: cannot be read ({error.strerror})")
    notes = list[str]()
    try:
        if mapping.format:
            ids, notes = _drawn_ids(sample_id, sources, coder, size)
        else:
            ids = read_coded_mask(mask, size, coder)
    except InputError as error:
        several = [f"{mask}: {problem}" for problem in error.problems]
        problems += several or [_naming(mask, str(error))]
    except OSError as error:
        problems.append(f"{mask}: cannot be read ({error.strerror})")
    if problems or coder.unmapped:
        return _Result(sample_id, coder, problems)
    annotation = encode_png(Image.fromarray(ids))
    file = f"annotations/{sample_id}.png"
    (folder / written.file).write_bytes(content)
    (folder / file).write_bytes(annotation)
    record: dict[str, Any] = {
        "id": sample_id,
        "size": written.size,
        "image": {"source": image.name, "file": written.file, "sha256": written.sha256},
        "annotation": {
            "source": mask.name,
            "source_sha256": _digest(mask),
            "file": file,
            "sha256": hashlib.sha256(annotation).hexdigest(),
        },
    }
    if notes:
        record["annotation"]["notes"] = notes
    return _Result(sample_id, coder, [], record, notes)


def _drawn_ids(
    sample_id: str, sources: Sources, coder: Coder, size: tuple[int, int] | None
) -> tuple[NDArray[np.uint8], list[str]]:
    """Reads a mask that was drawn with another program; counts in the coder, and says notes."""
    if size is None:  # of a photograph that cannot be read, which is said already
        return np.zeros((1, 1), np.uint8), []
    from mmseg_heritage.exchange.damage_map import Legend

    mapping = coder.mapping
    legend = Legend(mapping.classes, mapping.legend, mapping.rest or None)
    reading = sources.drawn[sample_id](size, legend)
    return coder(reading.class_map), reading.notes


def _digest(path: Path) -> str:
    """Returns the SHA-256 of a file; of a folder, that of the names and hashes of its files."""
    if not path.is_dir():
        stat = path.stat()
        return _file_digest(path, stat.st_mtime_ns, stat.st_size)
    lines = [f"{file.name} {sha256(file)}\n" for file in sorted(path.iterdir()) if file.is_file()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@functools.lru_cache(maxsize=64)  # one archive holds the masks of many photographs
def _file_digest(path: Path, changed: int, size: int) -> str:
    return sha256(path)


def _naming(path: Path, message: str) -> str:
    return message if message.startswith(str(path)) else f"{path}: {message}"


def _refuse_unmapped(mapping: LabelMapping, results: Sequence[_Result]) -> None:
    """Refuses values that the mapping does not name: what they mean is not guessed."""
    pixels: Counter[int] = Counter()
    masks: Counter[int] = Counter()
    first: dict[int, str] = {}
    for result in results:
        pixels.update(result.coder.unmapped)
        masks.update(dict.fromkeys(result.coder.unmapped, 1))
        for value in result.coder.unmapped:
            first.setdefault(value, result.id)
    if not pixels:
        return
    named = ", ".join(code.text for code in mapping.codes[:20])
    raise InputError(
        f"{mapping.name}: {counted(len(pixels), 'mask value')} not in the mapping, which names "
        f"{named}. Say what they mean, a class or 'ignore'. Many values between those named come "
        "from JPEG or smooth resizing: give limits, such as '>=128'",
        [
            f"{mapping.value_text(value)}: {number:,} pixels in {masks[value]} masks, "
            f"first in that of '{first[value]}'"
            for value, number in pixels.most_common()
        ],
    )


def _summary(
    out: Path, mapping: LabelMapping, sources: Sources, done: Sequence[_Result]
) -> Imported:
    counts = np.array([result.coder.pixels for result in done])
    ids = {result.id for result in done}
    links = [sources.metadata[i].get("source_id") for i in ids]
    return Imported(
        root=out,
        mapping=mapping,
        num_samples=len(done),
        pixels=counts.sum(axis=0),
        masks=np.count_nonzero(counts, axis=0),
        left_out=sources.left_out,
        notes={result.id: result.notes for result in done if result.notes},
        num_orphans=sum(bool(source) and source not in ids for source in links),
    )


def _write_records(
    folder: Path,
    imported: Imported,
    sources: Sources,
    done: Sequence[_Result],
    table: str | Path | None,
) -> None:
    """Writes metadata.csv, import.json and, for own classes, classes.json."""
    metadata = metadata_bytes([sources.metadata[result.id] for result in done])
    (folder / "metadata.csv").write_bytes(metadata)
    mapping = imported.mapping
    if mapping.classes != ARTEFACT:
        write_classes(folder / CLASSES_FILE, mapping.classes)
    content = {
        "schema": SCHEMA,
        "version": __version__,
        "mapping": {"name": mapping.name, "sha256": mapping.sha256, "content": mapping.content},
        "table": None if table is None else {"file": Path(table).name, "sha256": sha256(table)},
        "num_samples": imported.num_samples,
        "metadata_sha256": hashlib.sha256(metadata).hexdigest(),
        "values": [
            {
                "value": code.text,
                "meaning": code.meaning,
                "pixels": int(pixels),
                "masks": int(masks),
            }
            for code, pixels, masks in zip(
                mapping.codes, imported.pixels, imported.masks, strict=True
            )
        ],
        "left_out": imported.left_out,
        "files": [result.record for result in done],
    }
    write_json(folder / RECORD, content)
