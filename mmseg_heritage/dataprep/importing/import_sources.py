"""Finding which photographs, masks and rows of another data set belong together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mmseg_heritage.dataprep.checks.faults import Fault
from mmseg_heritage.dataprep.ids import id_problems
from mmseg_heritage.dataprep.importing.label_mapping import LabelMapping
from mmseg_heritage.dataprep.importing.name_rules import groups_of
from mmseg_heritage.dataprep.layout import files_by_id, list_images
from mmseg_heritage.dataprep.metadata_table import read_metadata, without_endings
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.formats import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from mmseg_heritage.exchange.readers import Reader


@dataclass(frozen=True)
class Sources:
    """The files of another data set.

    Attributes:
        images: Id -> photograph.
        masks: Id -> mask.
        metadata: Id -> row of metadata.csv, for every photograph.
        left_out: Id -> what is missing, of samples that are not whole.
        drawn: Id -> what reads a mask that was drawn with another program.
    """

    images: dict[str, Path]
    masks: dict[str, Path]
    metadata: dict[str, dict[str, str]]
    left_out: dict[str, list[str]]
    drawn: dict[str, Reader] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """Ids of the samples that are whole, sorted."""
        return sorted(i for i in self.images if i not in self.left_out)


def _check_arguments(
    mapping: LabelMapping, images: Path, masks: Path, table: str | Path | None
) -> None:
    # What was drawn on many photographs may be in one file.
    folders = (images,) if mapping.format and masks.is_file() else (images, masks)
    problems = [f"{path}: no such folder" for path in folders if not path.is_dir()]
    if table is not None and not Path(table).is_file():
        problems.append(f"{table}: no such file")
    if table is None and mapping.columns:
        problems.append("the mapping names columns of a table; give its file with --table")
    if table is not None and not mapping.columns:
        problems.append(f"{table}: the mapping names no columns of a table (metadata.columns)")
    if problems:
        raise InputError("expected folders of images and of masks", problems)


def find_sources(
    mapping: LabelMapping, images: Path, masks: Path, table: str | Path | None
) -> Sources:
    """Pairs photographs, masks and rows by id.

    Args:
        mapping: How masks and columns are named.
        images: Folder of photographs.
        masks: Folder of masks, which may be the same one.
        table: CSV with the columns that the mapping names.

    Raises:
        InputError: If an argument does not fit the mapping, or files and rows cannot be told apart.
    """
    _check_arguments(mapping, images, masks, table)
    drawn = _drawn_masks(mapping, masks)
    mask_files = list(drawn) if mapping.format else _mask_files(mapping, masks)
    is_shared = images.resolve() == masks.resolve()
    taken = {path.name for path in mask_files} if is_shared and not mapping.format else set()
    image_files = [path for path in list_images(images) if path.name not in taken]
    faults: list[Fault] = []
    images_by_id = files_by_id(image_files, faults)
    masks_by_id = files_by_id(mask_files, faults, mapping.suffix)
    readers = {i: drawn[path][1] for i, path in masks_by_id.items()} if mapping.format else {}
    if mapping.format:
        masks_by_id = {i: drawn[path][0] for i, path in masks_by_id.items()}
    rows = None if table is None else _read_table(Path(table), mapping, images_by_id, faults)
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
    return Sources(images_by_id, masks_by_id, metadata, dict(left_out), readers)


def _drawn_masks(mapping: LabelMapping, masks: Path) -> dict[Path, tuple[Path, Reader]]:
    """Returns masks that were drawn with another program, by the names of their photographs."""
    if not mapping.format:
        return {}
    from mmseg_heritage.exchange.readers import find_readers

    found: dict[Path, tuple[Path, Reader]] = {}
    problems = []
    for name, mask in find_readers(mapping.format, masks).items():
        file = PurePosixPath(name.replace("\\", "/")).name
        path = Path(file if file.lower().endswith(IMAGE_SUFFIXES) else f"{file}.png")
        if path in found:
            problems.append(f"{masks}: holds two photographs named {file}; keep one")
        found[path] = mask
    if problems:
        raise InputError(f"{mapping.name}: the files cannot be imported", problems)
    return found


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


def _read_table(
    table: Path, mapping: LabelMapping, ids: Collection[str], faults: list[Fault]
) -> dict[str, dict[str, str]]:
    """Reads the user's table; images may be named with or without their ending."""
    columns, rows = read_metadata(table, faults, mapping.id_column)
    faults += [
        Fault("metadata", table, f"no column '{name}'; it has {', '.join(columns)}")
        for name in mapping.columns.values()
        if columns and name not in columns
    ]
    return without_endings(rows or {}, ids, table, faults)


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
        found = groups_of(rule, ids, f"{mapping.name}: {key}")
        if not found:
            problems.append(
                f"{key}: '{rule.pattern}' matches none of {len(ids)} ids: {ids[0]}, ..."
            )
        problems += [
            f"{key}: the group is empty for '{i}'" for i, name in found.items() if not name
        ]
        for i in ids:
            metadata[i][key] = found.get(i) or ""
    if problems:
        raise InputError(
            f"{mapping.name}: rules of the mapping do not fit the names of the images", problems
        )
    return metadata
