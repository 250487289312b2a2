"""Bringing another data set into the folder layout, by a mapping of its mask values."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_heritage.data.check import in_threads
from mmseg_heritage.data.coded_masks import Coder, read_coded_mask
from mmseg_heritage.data.faults import Fault
from mmseg_heritage.data.folder import files_by_id, list_images, metadata_bytes, read_metadata
from mmseg_heritage.data.hub.convert import convert_image, encode_png
from mmseg_heritage.data.ids import id_problems
from mmseg_heritage.data.image_files import IMAGE_SUFFIXES
from mmseg_heritage.data.label_mapping import LabelMapping, load_mapping
from mmseg_heritage.data.mat_files import require_scipy
from mmseg_heritage.data.statistics import Bar, no_bar
from mmseg_heritage.errors import InputError
from mmseg_heritage.files import check_empty, making_folder, sha256, write_json
from mmseg_heritage.spelling import counted
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
        num_orphans: Copies by the rule ``source_id`` whose photograph is not here.
    """

    root: Path
    mapping: LabelMapping
    num_samples: int
    pixels: NDArray[np.int64]
    masks: NDArray[np.int64]
    left_out: dict[str, list[str]]
    num_orphans: int


@dataclass(frozen=True)
class _Sources:
    """The files of the other data set, by id."""

    images: dict[str, Path]
    masks: dict[str, Path]
    metadata: dict[str, dict[str, str]]
    left_out: dict[str, list[str]]

    @property
    def ids(self) -> list[str]:
        return sorted(i for i in self.images if i not in self.left_out)


@dataclass(frozen=True)
class _Result:
    """What became of one sample."""

    id: str
    coder: Coder
    problems: list[str] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)


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

    Photographs keep their bytes. Masks become 8-bit PNG of class ids. Every file is decoded and
    checked. The folder appears when it is complete: a call that fails or is stopped leaves nothing
    under its name, and the next one begins anew.

    Args:
        mapping: As :func:`mmseg_heritage.data.label_mapping.load_mapping` takes it.
        images: Folder of photographs; folders in it are not read.
        masks: Folder of masks, which may be the same one.
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
    sources = _find(label_mapping, Path(images), Path(masks), table)
    _refuse(sources.left_out, skip_faulty)
    try:
        with making_folder(out) as folder:
            for name in ("images", "annotations"):
                (folder / name).mkdir()
            with bar("importing images and masks") as report:
                results = list(
                    in_threads(
                        lambda i: _convert(i, sources, label_mapping, folder),
                        sources.ids,
                        workers,
                        report,
                    )
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
            "Nothing is left behind; make room or mend it, and run this again"
        ) from error
    return imported


def _lines(left_out: Mapping[str, Sequence[str]]) -> list[str]:
    return [problem for problems in left_out.values() for problem in problems]


def _refuse(left_out: Mapping[str, Sequence[str]], skip_faulty: bool) -> None:
    if left_out and not skip_faulty:
        raise InputError(
            f"{len(left_out)} images or masks cannot be used; nothing is written. Mend them, or "
            "leave them out with --skip-faulty",
            _lines(left_out),
        )


def _check_arguments(
    mapping: LabelMapping, images: Path, masks: Path, table: str | Path | None
) -> None:
    problems = [f"{path}: no such folder" for path in (images, masks) if not path.is_dir()]
    if table is not None and not Path(table).is_file():
        problems.append(f"{table}: no such file")
    if table is None and mapping.columns:
        problems.append("the mapping names columns of a table; give its file with --table")
    if table is not None and not mapping.columns:
        problems.append(f"{table}: the mapping names no columns of a table (metadata.columns)")
    if problems:
        raise InputError("expected folders of images and of masks", problems)


def _find(mapping: LabelMapping, images: Path, masks: Path, table: str | Path | None) -> _Sources:
    """Pairs photographs, masks and rows by id."""
    _check_arguments(mapping, images, masks, table)
    mask_files = _mask_files(mapping, masks)
    is_shared = images.resolve() == masks.resolve()
    taken = {path.name for path in mask_files} if is_shared else set()
    image_files = [path for path in list_images(images) if path.name not in taken]
    faults: list[Fault] = []
    images_by_id = files_by_id(image_files, faults)
    masks_by_id = files_by_id(mask_files, faults, mapping.suffix)
    rows = None if table is None else _rows_by_id(Path(table), mapping, faults)
    places = [(str(path), sample_id) for sample_id, path in images_by_id.items()]
    problems = [*map(str, faults), *id_problems(places)]
    if not image_files or not mask_files:
        problems.append(
            f"{images}: {len(image_files)} images; {masks}: {len(mask_files)} masks named "
            f"<id>{mapping.suffix} with the ending {' or '.join(_mask_endings(mapping))}"
        )
        problems += _other_endings(mapping, masks) if not mask_files else []
        if is_shared:
            problems.append("in one folder, masks need masks.suffix or masks.extension")
    if problems:
        raise InputError(f"{mapping.name}: the files cannot be imported", problems)
    left_out: dict[str, list[str]] = defaultdict(list)
    for i in sorted(images_by_id.keys() - masks_by_id.keys()):
        left_out[i].append(f"{images_by_id[i]}: no mask '{i}{mapping.suffix}' in {masks}")
    for i in sorted(masks_by_id.keys() - images_by_id.keys()):
        left_out[i].append(f"{masks_by_id[i]}: no image '{i}' in {images}")
    if rows is not None:
        for i in sorted(images_by_id.keys() - rows.keys()):
            left_out[i].append(f"{table}: no row for the image '{i}'")
    metadata = _metadata(mapping, sorted(images_by_id), rows or {})
    return _Sources(images_by_id, masks_by_id, metadata, dict(left_out))


def _mask_endings(mapping: LabelMapping) -> tuple[str, ...]:
    if mapping.mat_variable:
        return (".mat",)
    return (mapping.extension,) if mapping.extension else IMAGE_SUFFIXES


def _other_endings(mapping: LabelMapping, folder: Path) -> list[str]:
    """Says what a folder holds in which no mask was found, and which mapping may be meant."""
    files = [path for path in folder.iterdir() if path.is_file() and path.name[0] != "."]
    endings = Counter(path.suffix.lower() for path in files if path.suffix)
    if not endings:
        return []
    found = ", ".join(f"{number} {ending}" for ending, number in endings.most_common(5))
    lines = [f"{folder}: found the endings {found}"]
    if mapping.mat_variable and any(ending in IMAGE_SUFFIXES for ending in endings):
        lines.append(
            "this mapping reads .mat files (masks.mat_variable); masks that are images need "
            "another one: crackforest_png for those of CrackForest"
        )
    return lines


def _mask_files(mapping: LabelMapping, folder: Path) -> list[Path]:
    endings = [ending.lower() for ending in _mask_endings(mapping)]
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in endings
        and path.stem.endswith(mapping.suffix)
        and not path.name.startswith(".")
        and not path.is_dir()
    )


def _rows_by_id(
    table: Path, mapping: LabelMapping, faults: list[Fault]
) -> dict[str, dict[str, str]]:
    """Reads the user's table; images may be named with or without their ending."""
    columns, rows = read_metadata(table, faults, mapping.id_column)
    faults += [
        Fault("metadata", table, f"no column '{name}'; it has {', '.join(columns)}")
        for name in mapping.columns.values()
        if columns and name not in columns
    ]
    by_id: dict[str, dict[str, str]] = {}
    for name, row in (rows or {}).items():
        has_ending = Path(name).suffix.lower() in IMAGE_SUFFIXES
        sample_id = Path(name).stem if has_ending else name
        if sample_id in by_id:
            faults.append(Fault("metadata", table, f"a second row for '{sample_id}'"))
        by_id[sample_id] = row
    return by_id


def _metadata(
    mapping: LabelMapping, ids: Sequence[str], rows: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Returns id -> row of metadata.csv."""
    metadata = {}
    for i in ids:
        row = rows.get(i, {})
        columns = {key: row.get(column) or "" for key, column in mapping.columns.items()}
        metadata[i] = {"id": i, **mapping.constants, **columns}
    problems = []
    for key, rule in (("source_id", mapping.source_id), ("group_id", mapping.group_id)):
        if rule is None:
            continue
        found = {i: match[1] for i in ids if (match := rule.fullmatch(i))}
        if not found:
            problems.append(
                f"{key}: '{rule.pattern}' matches none of {len(ids)} ids: {ids[0]}, ..."
            )
        problems += [
            f"{key}: the group is empty for '{i}'" for i, name in found.items() if not name
        ]
        for i in ids:
            metadata[i][key] = found.get(i, "")
    if problems:
        raise InputError(
            f"{mapping.name}: rules of the mapping do not fit the names of the images", problems
        )
    return metadata


def _convert(sample_id: str, sources: _Sources, mapping: LabelMapping, folder: Path) -> _Result:
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
    try:
        ids = read_coded_mask(mask, size, coder)
    except InputError as error:
        problems.append(_naming(mask, str(error)))
    if problems or coder.unmapped:
        return _Result(sample_id, coder, problems)
    annotation = encode_png(Image.fromarray(ids))
    file = f"annotations/{sample_id}.png"
    (folder / written.file).write_bytes(content)
    (folder / file).write_bytes(annotation)
    record = {
        "id": sample_id,
        "size": written.size,
        "image": {"source": image.name, "file": written.file, "sha256": written.sha256},
        "annotation": {
            "source": mask.name,
            "source_sha256": sha256(mask),
            "file": file,
            "sha256": hashlib.sha256(annotation).hexdigest(),
        },
    }
    return _Result(sample_id, coder, [], record)


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
    out: Path, mapping: LabelMapping, sources: _Sources, done: Sequence[_Result]
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
        num_orphans=sum(bool(source) and source not in ids for source in links),
    )


def _write_records(
    folder: Path,
    imported: Imported,
    sources: _Sources,
    done: Sequence[_Result],
    table: str | Path | None,
) -> None:
    """Writes metadata.csv and import.json."""
    metadata = metadata_bytes([sources.metadata[result.id] for result in done])
    (folder / "metadata.csv").write_bytes(metadata)
    mapping = imported.mapping
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
