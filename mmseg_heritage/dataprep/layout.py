"""The folder layout of a data set: images, annotations and metadata, paired by id."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmseg_heritage.dataprep.checks.faults import Fault
from mmseg_heritage.dataprep.class_file import find_classes
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.formats import IMAGE_SUFFIXES, folder_files, unread_reason
from mmseg_heritage.taxonomy import ARTEFACT, ClassList

COLUMNS = ("id", "material", "content", "source_id", "group_id")
"""Columns of the metadata that are used."""


@dataclass(frozen=True)
class Sample:
    """One photograph with its annotation.

    Attributes:
        id: File name without suffix, equal for image and annotation.
        image: Path of the photograph.
        annotation: Path of the mask.
        source_id: The object the photograph shows. Crops, tiles and augmented copies carry the id
            of the photograph they were made from (metadata column ``source_id``); otherwise ``id``.
            A copy of a copy carries the id of the first photograph.
        material: As in the metadata, empty where there is none.
        content: As in the metadata, empty where there is none.
        group_id: Name shared by near-duplicates, such as two photographs of one object (metadata
            column ``group_id``); empty where none is known.
        classes: What the values of the mask mean.
    """

    id: str
    image: Path
    annotation: Path
    source_id: str
    material: str = ""
    content: str = ""
    group_id: str = ""
    classes: ClassList = field(default=ARTEFACT, repr=False, compare=False)

    @property
    def is_derived(self) -> bool:
        """Whether this is a copy, crop or tile of another sample, for training only."""
        return self.source_id != self.id


@dataclass(frozen=True)
class FolderContent:
    """What the folder of a data set holds, whether it fits together or not.

    Attributes:
        samples: Those with image and annotation, sorted by id.
        images: Id -> photograph.
        annotations: Id -> mask.
        columns: Of the metadata; empty where there is none.
        rows: Id -> row of the metadata, or None where it is absent or cannot be used.
        faults: What does not fit together.
        classes: What the values of the masks mean.
        other_files: In the folders of photographs and masks, but not read; without hidden ones.
    """

    samples: list[Sample]
    images: dict[str, Path]
    annotations: dict[str, Path]
    columns: tuple[str, ...]
    rows: dict[str, dict[str, str]] | None
    faults: list[Fault]
    classes: ClassList
    other_files: list[Path]


def read_folder(
    root: str | Path,
    images: str = "images",
    annotations: str = "annotations",
    metadata: str = "metadata.csv",
    classes: ClassList | None = None,
) -> list[Sample]:
    """Lists the samples of a data set, sorted by id, without opening any image.

    Images and masks are paired by file name without suffix, never by position. ``metadata.csv`` is
    optional; where it exists every image needs a row in it. ``classes.json`` is optional too; it
    says what the values of the masks mean, unless ``classes`` does.

    Raises:
        InputError: With all missing, unpaired and duplicate ids, or with all that is wrong in
            ``classes.json``.
    """
    content = scan_folder(root, images, annotations, metadata, classes)
    if content.faults:
        raise InputError(f"{root}: the data set is not consistent", map(str, content.faults))
    return content.samples


def scan_folder(
    root: str | Path,
    images: str = "images",
    annotations: str = "annotations",
    metadata: str = "metadata.csv",
    classes: ClassList | None = None,
) -> FolderContent:
    """Lists what :func:`read_folder` reads, with all that it refuses.

    Raises:
        InputError: If a folder is missing, if there is no image at all, or if ``classes.json``
            cannot be used.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(
            f"{root}: the data root does not exist. Set data_root to a folder with images/, "
            "annotations/ and metadata.csv"
        )
    missing = [
        f"{root / part}: no such folder"
        for part in (images, annotations)
        if not (root / part).is_dir()
    ]
    if missing:
        raise InputError(f"{root}: expected the folders {images}/ and {annotations}/", missing)

    classes = find_classes(root) if classes is None else classes
    faults: list[Fault] = []
    photographs, masks = folder_files(root / images), folder_files(root / annotations)
    image_paths = files_by_id(photographs.images, faults)
    mask_paths = files_by_id(masks.images, faults)
    columns, rows = read_metadata(root / metadata, faults)
    if not image_paths and not mask_paths:
        raise InputError(
            f"{root / images}: the folder holds no images ({', '.join(IMAGE_SUFFIXES)})"
            + (f"; {unread}" if (unread := photographs.not_read()) else "")
        )
    unread_files = {path.stem: path for path in photographs.unread}
    faults += [
        Fault("unpaired", image_paths[i], f"no annotation with this id in {annotations}/")
        for i in sorted(image_paths.keys() - mask_paths.keys())
    ]
    faults += [
        Fault(
            "unpaired",
            mask_paths[i],
            f"{unread_files[i].name} is {unread_reason(unread_files[i])}"
            if i in unread_files
            else f"no image with this id in {images}/",
        )
        for i in sorted(mask_paths.keys() - image_paths.keys())
    ]
    if rows is not None:
        faults += [
            Fault("no row", root / metadata, f"no row for the image '{i}'")
            for i in sorted(image_paths.keys() - rows.keys())
        ]
        faults += [
            Fault("no image", root / metadata, f"row '{i}' has no image in {images}/")
            for i in sorted(rows.keys() - image_paths.keys())
        ]
    sources = {i: row.get("source_id") or i for i, row in (rows or {}).items()}
    first_sources = {i: _first_source(i, sources) for i in image_paths}
    faults += [
        Fault("source circle", root / metadata, f"following source_id from '{i}' leads in a circle")
        for i in sorted(image_paths)
        if first_sources[i] is None
    ]
    samples = []
    for sample_id in sorted(image_paths.keys() & mask_paths.keys()):
        row = (rows or {}).get(sample_id, {})
        samples.append(
            Sample(
                id=sample_id,
                image=image_paths[sample_id],
                annotation=mask_paths[sample_id],
                source_id=first_sources[sample_id] or sample_id,
                material=row.get("material") or "",
                content=row.get("content") or "",
                group_id=row.get("group_id") or "",
                classes=classes,
            )
        )
    others = [path for found in (photographs, masks) for path in found.unread + found.other]
    return FolderContent(samples, image_paths, mask_paths, columns, rows, faults, classes, others)


def _first_source(sample_id: str, sources: dict[str, str]) -> str | None:
    """Follows copies of copies to the first photograph; None where that never ends."""
    seen = set()
    while (source := sources.get(sample_id, sample_id)) != sample_id:
        seen.add(sample_id)
        if source in seen:
            return None
        sample_id = source
    return sample_id


def list_images(folder: str | Path) -> list[Path]:
    """Returns the image files directly in ``folder``, sorted by name; hidden files are left out."""
    return folder_files(folder).images


def files_by_id(paths: Iterable[Path], faults: list[Fault], suffix: str = "") -> dict[str, Path]:
    """Maps id to file; two files with one id are a fault.

    Args:
        paths: Files.
        faults: Is added to.
        suffix: What their names have behind the id, before the point.
    """
    files: dict[str, Path] = {}
    for path in paths:
        sample_id = path.stem.removesuffix(suffix)
        if sample_id in files:
            message = f"the id '{sample_id}' is also that of {files[sample_id].name}"
            faults.append(Fault("repeated id", path, message))
        files[sample_id] = path
    return files


def read_metadata(
    path: Path, faults: list[Fault], id_column: str = "id"
) -> tuple[tuple[str, ...], dict[str, dict[str, str]] | None]:
    """Reads a metadata table.

    Args:
        path: CSV in UTF-8 with names in the first line.
        faults: Is added to.
        id_column: Name of the column that holds the ids.

    Returns:
        The columns, and id -> row or None where there is no table that can be used.
    """
    if not path.is_file():
        return (), None
    rows: dict[str, dict[str, str]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = tuple(reader.fieldnames or ())
            if id_column not in columns:
                message = f"expected a column '{id_column}', found {reader.fieldnames}"
                if len(columns) == 1 and any(mark in columns[0] for mark in ";\t"):
                    message += "; columns must be separated by commas"
                faults.append(Fault("metadata", path, message))
                return columns, None
            for row in reader:
                sample_id = row[id_column]
                if not sample_id:
                    faults.append(Fault("metadata", path, "no id", reader.line_num))
                    continue
                if sample_id in rows:
                    message = f"a second row for '{sample_id}'"
                    faults.append(Fault("metadata", path, message, reader.line_num))
                rows[sample_id] = row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        faults.append(Fault("metadata", path, f"cannot be read as CSV in UTF-8 ({error})"))
        return (), None
    return columns, rows


def metadata_bytes(rows: Sequence[Mapping[str, str]]) -> bytes:
    """Returns rows of metadata as CSV in UTF-8: the columns of all of them, first ``id``."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.sort(key=lambda name: name != "id")
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def select(
    samples: Sequence[Sample],
    materials: str | Sequence[str] | None = None,
    contents: str | Sequence[str] | None = None,
) -> list[Sample]:
    """Keeps the samples of the named materials and contents; None keeps all.

    Raises:
        InputError: If a name occurs in no sample, naming those that do.
    """
    materials = (materials,) if isinstance(materials, str) else materials
    contents = (contents,) if isinstance(contents, str) else contents
    problems = []
    for attribute, wanted in (("material", materials), ("content", contents)):
        known = sorted({getattr(s, attribute) for s in samples} - {""})
        found = ", ".join(known) or "none (no metadata.csv?)"
        problems += [
            f"{attribute} '{name}' occurs nowhere; found: {found}"
            for name in wanted or ()
            if name not in known
        ]
    if problems:
        raise InputError("the filter by material or content matches nothing", problems)
    return [
        s
        for s in samples
        if (materials is None or s.material in materials)
        and (contents is None or s.content in contents)
    ]
