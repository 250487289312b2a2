"""Writing augmented copies of training photographs as a data set of their own."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.dataprep.class_file import CLASSES_FILE, write_classes
from mmseg_heritage.dataprep.layout import Sample, read_folder
from mmseg_heritage.dataprep.splits.split import Split
from mmseg_heritage.datasets import (
    ARTeFACTDataset,
    HeritageAugmentation,
    LoadARTeFACTAnnotations,
    LoadHeritageImage,
)
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.writing import write_image
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.utils.files import output_folder, replacing, write_json
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.seeding import seeded
from mmseg_heritage.version import __version__

SCHEMA = "mmseg_heritage/augment/1"
RECORD = "augment.json"
"""File that says how a set was made; the same command goes on where it was stopped."""

_MAX_NAME = 200  # bytes of an id: file systems allow 255, and temporary names are longer
_PATH_COLUMNS = {"image_path": "images", "annotation_path": "annotations"}


@dataclass(frozen=True)
class AugmentedSet:
    """What :func:`augment` made.

    Attributes:
        folder: The new data set.
        originals: Number of photographs that were taken over.
        sources: Number of those that have copies.
        copies: Number of copies.
        split_file: Manifest of the split that was used, with the copies in its training part.
    """

    folder: Path
    originals: int
    sources: int
    copies: int
    split_file: Path


def augment(
    data_root: str | Path,
    out: str | Path,
    copies: int = 3,
    tier: str = "medium",
    seed: int = 0,
    split_file: str = "",
    all_parts: bool = False,
    bar: Bar = no_bar,
) -> AugmentedSet:
    """Writes a data set of all photographs and, for each one that is trained on, augmented copies.

    Photographs and masks are copied byte for byte, not linked: editing one set then leaves the
    other as it is. Copies are PNG files named ``<id>_aug<n>``; ``metadata.csv`` names their
    photograph in ``source_id``, so that no split puts them beside it. Each copy depends on seed, id
    and number alone. A folder that was begun is completed by the same call.

    Args:
        data_root: Folder of the data set.
        out: Folder to make.
        copies: Copies for each photograph, at least 1.
        tier: A tier of :class:`HeritageAugmentation` but 'none'.
        seed: Another seed makes other copies.
        split_file: Manifest below ``data_root`` or absolute; empty takes the default split.
        all_parts: Copies photographs of all parts, for splits that are made later; those of val and
            test are then in no part of the manifest that is written here.
        bar: Shows progress.

    Returns:
        What was made.

    Raises:
        InputError: If an argument or the data cannot be used, if something else is in the folder,
            or if writing fails.
    """
    if isinstance(copies, bool) or not isinstance(copies, int) or copies < 1:
        raise InputError(f"copies must be a positive integer, found {copies!r}")
    if tier == "none":
        raise InputError("the tier 'none' changes nothing: its copies would be the photographs")
    augmentation = HeritageAugmentation(tier)
    dataset = ARTeFACTDataset(data_root=str(data_root), ann_file=split_file, lazy_init=True)
    split, samples = dataset.read_split()
    names = _names(split, samples, copies, all_parts)
    folder = output_folder(out)
    metadata = _metadata(Path(data_root), samples, names)
    record = {
        "schema": SCHEMA,
        "version": __version__,
        "copies": copies,
        "tier": tier,
        "seed": seed,
        "all_parts": all_parts,
        "split": {"name": split.name, "sha256": split.digest()},
        "metadata_sha256": hashlib.sha256(metadata.encode()).hexdigest(),
    }
    _check_folder(folder, record)
    manifest = folder / "splits" / (Path(split_file).name or f"{split.name}.json")
    try:
        write_json(folder / RECORD, record)
        # First, so that a folder that is not complete yet is refused as such and not trained on.
        _write_text(folder / "metadata.csv", metadata)
        if samples[0].classes != ARTEFACT:
            write_classes(folder / CLASSES_FILE, samples[0].classes)
        write_json(manifest, _with_copies(split, names).to_json())
        with bar("copying photographs") as report:
            for done, sample in enumerate(samples, start=1):
                _copy_file(sample.image, folder / "images" / sample.image.name)
                _copy_file(sample.annotation, folder / "annotations" / sample.annotation.name)
                if report is not None:
                    report(done, len(samples))
        sources = [s for s in samples if s.id in names]
        with bar("augmenting") as report:
            for done, sample in enumerate(sources, start=1):
                _write_copies(sample, names[sample.id], folder, augmentation, seed)
                if report is not None:
                    report(done, len(sources))
    except OSError as error:
        raise InputError(
            f"{folder}: writing failed ({error}). What is there is whole; the same command goes on "
            "from there"
        ) from error
    read_folder(folder)
    return AugmentedSet(folder, len(samples), len(names), copies * len(names), manifest)


def _names(
    split: Split, samples: Sequence[Sample], copies: int, all_parts: bool
) -> dict[str, list[str]]:
    """Returns id of a photograph -> ids of its copies, without taking an id that is in use."""
    chosen = {s.id for s in samples} if all_parts else set(split.part("train"))
    names = {
        s.id: [f"{s.id}_aug{number}" for number in range(1, copies + 1)]
        for s in samples
        if s.id in chosen and not s.is_derived
    }
    if not names:
        raise InputError(f"split '{split.name}' trains on no original photograph: nothing to copy")
    used = {s.id for s in samples}
    new = [name for group in names.values() for name in group]
    problems = [f"'{name}' is the id of a photograph already" for name in new if name in used]
    problems += [
        f"'{name}' is too long for a file name"
        for name in new
        if len(os.fsencode(name)) > _MAX_NAME
    ]
    if problems:
        raise InputError("the copies cannot be named; rename the photographs", problems)
    return names


def _metadata(root: Path, samples: Sequence[Sample], names: Mapping[str, Sequence[str]]) -> str:
    """Returns the metadata table of the new set: all rows there were, and those of the copies."""
    path = root / "metadata.csv"
    columns, rows = ["id"], {s.id: {"id": s.id} for s in samples}
    if path.is_file():  # read_folder has found it sound
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = {row["id"]: row for row in reader}
            columns = list(reader.fieldnames or columns)
    if "source_id" not in columns:
        columns.append("source_id")
    for source, copies in names.items():
        for name in copies:
            rows[name] = {c: v for c, v in rows[source].items() if not c.endswith("_path")}
            rows[name] |= {"id": name, "source_id": source}
            rows[name] |= {c: f"{part}/{name}.png" for c, part in _PATH_COLUMNS.items()}
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[i] for i in sorted(rows))
    return text.getvalue()


def _check_folder(folder: Path, record: Mapping[str, Any]) -> None:
    """Refuses a folder that holds anything but what this very call has begun."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder}: there are files here, and no {RECORD} of a run to go on with; name an "
            "empty folder"
        ) from error
    found = found if isinstance(found, dict) else {}
    problems = [
        f"{key}: {found.get(key)!r} there, {value!r} now"
        for key, value in record.items()
        if found.get(key) != value
    ]
    if problems:
        raise InputError(
            f"{folder}: holds copies that were made in another way, or of another data set; name "
            "another folder",
            problems,
        )


def _with_copies(split: Split, names: Mapping[str, Sequence[str]]) -> Split:
    """Returns a split that trains on the copies of what it trains on."""
    parts = dict(split.parts)
    parts["train"] = tuple(
        sorted([*parts["train"], *(n for i in parts["train"] for n in names.get(i, ()))])
    )
    # One fold of a family stands alone here.
    details = {key: value for key, value in split.details.items() if key != "folds"}
    if "left_out" in details:
        left_out = details["left_out"]
        details["left_out"] = [*left_out, *(n for i in left_out for n in names.get(i, ()))]
    details["made_from"] = {"name": split.name, "sha256": split.digest()}
    return replace(split, parts=parts, details=details)


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _copy_file(source: Path, target: Path) -> None:
    """Copies a file that is not there yet."""
    if not target.exists():
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)


def _write_copies(
    sample: Sample,
    names: Sequence[str],
    folder: Path,
    augmentation: HeritageAugmentation,
    seed: int,
) -> None:
    """Writes the copies of one photograph that are not there yet."""
    paths = {
        n: (folder / "images" / f"{n}.png", folder / "annotations" / f"{n}.png") for n in names
    }
    missing = [n for n, files in paths.items() if not all(file.exists() for file in files)]
    if not missing:
        return
    read: dict[str, Any] = {
        "img_path": sample.image,
        "seg_map_path": sample.annotation,
        "mask_classes": sample.classes,
    }
    read = LoadARTeFACTAnnotations()(LoadHeritageImage()(read))
    for name in missing:
        with seeded(_seed_of(seed, name)):
            made = augmentation(dict(read))
        image_path, mask_path = paths[name]
        write_image(image_path, np.ascontiguousarray(made["img"][..., ::-1]))
        write_image(mask_path, made["gt_seg_map"])


def _seed_of(seed: int, name: str) -> int:
    """Returns the seed of everything that is random in a copy."""
    key = f"{seed}/{name}".encode(errors="surrogateescape")
    return int.from_bytes(hashlib.sha256(key).digest()[:4], "big")
