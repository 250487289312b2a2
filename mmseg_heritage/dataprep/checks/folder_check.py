"""Everything that is wrong with the folder of a data set, and what is in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.checks.duplicates import MAX_DISTANCE, near_duplicate_groups
from mmseg_heritage.dataprep.checks.faults import KINDS, Fault
from mmseg_heritage.dataprep.checks.mask_values import set_warnings
from mmseg_heritage.dataprep.checks.pixels import Examined
from mmseg_heritage.dataprep.checks.verified import VerifiedFiles
from mmseg_heritage.dataprep.layout import FolderContent, Sample, scan_folder
from mmseg_heritage.dataprep.metadata_table import COLUMNS
from mmseg_heritage.dataprep.splits.groups import split_units
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.formats import unread_reason
from mmseg_heritage.taxonomy import ARTEFACT, CONTENTS, MATERIALS, ClassList
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.threads import run_in_threads

DESCRIPTIONS = (
    "type",
    "damage_description",
    "llava_description",
    "verified_description",
    "image_path",
    "annotation_path",
    "width",
    "height",
)
"""Columns that the hub's data set and the generated one have beside those that are used."""

_DOMAINS = {"material": MATERIALS, "content": CONTENTS}


@dataclass(frozen=True)
class CheckReport:
    """What :func:`check_folder` found.

    Attributes:
        root: Folder of the data set.
        num_images: Photographs in it.
        num_annotations: Masks in it.
        samples: Photographs with annotation, sorted by id.
        has_metadata: Whether there is a metadata table that can be used.
        classes: What the values of the masks mean.
        class_pixels: Id -> int64 (classes + 1,), of each sound mask of a sample; 255 comes last.
        faults: In the order of :data:`mmseg_heritage.dataprep.checks.faults.KINDS`, then of files.
    """

    root: Path
    num_images: int
    num_annotations: int
    samples: list[Sample]
    has_metadata: bool
    classes: ClassList
    class_pixels: dict[str, NDArray[np.int64]]
    faults: list[Fault]

    def count(self, severity: str) -> int:
        """Returns the number of faults of a severity, "fault" or "warning"."""
        return sum(KINDS[fault.kind].severity == severity for fault in self.faults)

    def passed(self, strict: bool = False) -> bool:
        """Whether there is no fault and, if ``strict``, no warning."""
        return not (self.count("fault") or (strict and self.count("warning")))


def check_folder(
    root: str | Path,
    images: str = "images",
    annotations: str = "annotations",
    metadata: str = "metadata.csv",
    *,
    max_distance: int | None = MAX_DISTANCE,
    workers: int | None = None,
    full: bool = False,
    bar: Bar = no_bar,
) -> CheckReport:
    """Gathers all that is wrong with a data set, decoding every file that is not yet verified.

    Each worker holds one photograph and its mask at a time; of the others only hashes and counts
    are kept.

    Args:
        root: Folder of the data set.
        images: Name of the folder of photographs.
        annotations: Name of the folder of masks.
        metadata: Name of the metadata table.
        max_distance: Near-duplicates differ in at most so many of 63 bits; None looks for none.
        workers: Threads that decode; by default the cores, at most 8.
        full: Whether to decode also what
            :class:`mmseg_heritage.dataprep.checks.verified.VerifiedFiles` vouches for.
        bar: Shows progress.

    Raises:
        InputError: If a folder is missing or holds no image, if ``classes.json`` cannot be used, or
            an argument is wrong. Whatever is wrong with the other files is in the report.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers: expected at least 1, found {workers}")
    root = Path(root)
    content = scan_folder(root, images, annotations, metadata)
    ids = sorted(content.images.keys() | content.annotations.keys())
    verified = VerifiedFiles(root, content.classes, full)
    pairs = [(content.images.get(i), content.annotations.get(i)) for i in ids]
    with bar("checking images and masks") as report:
        results = run_in_threads(lambda pair: verified.examine(*pair), pairs, report, workers)
        examined = dict(zip(ids, results, strict=True))
    verified.save()

    faults = list(content.faults)
    faults += [fault for result in examined.values() for fault in result.faults]
    faults += _metadata_faults(content, root / metadata)
    faults += _duplicates(content.samples, examined, max_distance)
    faults += [Fault("other file", path, unread_reason(path)) for path in content.other_files]
    class_pixels = {
        sample.id: counts
        for sample in content.samples
        if (counts := examined[sample.id].class_pixels) is not None
    }
    faults += [
        Fault("mask values", root / annotations, text)
        for text in set_warnings(np.array(list(class_pixels.values())), content.classes)
    ]
    order = list(KINDS)
    return CheckReport(
        root=root,
        num_images=len(content.images),
        num_annotations=len(content.annotations),
        samples=content.samples,
        has_metadata=content.rows is not None,
        classes=content.classes,
        class_pixels=class_pixels,
        faults=sorted(faults, key=lambda fault: order.index(fault.kind)),
    )


def _metadata_faults(content: FolderContent, path: Path) -> list[Fault]:
    """Finds what :func:`scan_folder` lets pass: columns, domains and sources that it ignores."""
    faults = [
        Fault("unknown column", path, f"column '{name}' is not read; known: {', '.join(COLUMNS)}")
        for name in content.columns
        if name not in (*COLUMNS, *DESCRIPTIONS)
    ]
    rows = content.rows or {}
    faults += [
        Fault("unknown column", path, f"row '{i}' has more fields than there are columns")
        for i, row in rows.items()
        if None in row
    ]
    # Materials and contents of a data set with classes of its own are its own as well.
    domains = _DOMAINS if content.classes == ARTEFACT else {}
    for column, known in domains.items():
        found = Counter(row.get(column) or "" for row in rows.values() if column in content.columns)
        faults += [
            Fault(
                "unknown domain",
                path,
                f"{column} '{name}' ({number} images) is none of {', '.join(known)}",
            )
            for name, number in sorted(found.items())
            if name not in known
        ]
    copies = Counter(source for row in rows.values() if (source := row.get("source_id")))
    faults += [
        Fault(
            "unknown source",
            path,
            f"source_id '{source}' ({number} images) is no image here; its copies can only train",
        )
        for source, number in sorted(copies.items())
        if source not in content.images
    ]
    return faults


def _duplicates(
    samples: Sequence[Sample], examined: Mapping[str, Examined], max_distance: int | None
) -> list[Fault]:
    """Finds equal and similar photographs that no source_id or group_id keeps together."""
    files = {sample.id: sample.image for sample in samples}
    unit_of = {s.id: number for number, unit in enumerate(split_units(samples)) for s in unit}
    same: dict[str, list[str]] = defaultdict(list)
    for sample_id in files:
        if digest := examined[sample_id].digest:
            same[digest].append(sample_id)
    hashes = {ids[0]: h for ids in same.values() if (h := examined[ids[0]].hash) is not None}
    similar = [] if max_distance is None else near_duplicate_groups(hashes, max_distance)

    def across_units(groups: Iterable[Sequence[str]]) -> list[list[Path]]:
        return [
            [files[i] for i in group] for group in groups if len({unit_of[i] for i in group}) > 1
        ]

    faults = [
        Fault(
            "duplicate",
            first,
            f"the same pixels as {_names(others)}; remove all but one, or give them one "
            "source_id or group_id",
            others=tuple(others),
        )
        for first, *others in across_units(same.values())
    ]
    faults += [
        Fault(
            "near-duplicate",
            first,
            f"looks like {_names(others)}; splits made by make-splits keep them together, and so "
            "does a group_id",
            others=tuple(others),
        )
        for first, *others in across_units(similar)
    ]
    return faults


def _names(paths: Sequence[Path]) -> str:
    shown = ", ".join(path.name for path in paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
