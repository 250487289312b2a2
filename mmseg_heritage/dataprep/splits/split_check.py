"""Proving that manifests are disjoint and complete, and counting what is in their parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.data_folder import DataFolder
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.groups import split_units
from mmseg_heritage.dataprep.splits.split import SCORED_PARTS, Split, check_split, load_split
from mmseg_heritage.dataprep.statistics import sample_pixels
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.progress import Bar, no_bar
from mmseg_heritage.utils.tables import plain_table


def check_split_files(
    root: str | Path, folder: str | Path | None = None, bar: Bar = no_bar
) -> dict[Path, str]:
    """Proves that the manifests in a folder are disjoint and complete, and counts their classes.

    Args:
        root: Folder of the data set.
        folder: Folder of manifests, with its folders of folds; ``<root>/splits`` if None.
        bar: Shows progress.

    Returns:
        Manifest -> table of images and pixels of each class, and images of each material and
        content, in each part.

    Raises:
        InputError: With everything that is wrong with any of them.
    """
    folder = Path(root) / "splits" if folder is None else Path(folder)
    paths = sorted(folder.rglob("[!.]*.json"))
    if not paths:
        raise InputError(f"{folder}: no split manifests here; make them with make_splits.py")
    data = DataFolder(root)
    samples = data.samples
    splits: dict[Path, Split] = {}
    problems: list[str] = []
    for path in paths:
        try:
            splits[path] = load_split(path)
            check_split(splits[path], samples, path)
        except InputError as error:
            problems += [f"{path}: {line}" for line in error.problems] or [str(error)]
            continue
        problems += [f"{path}: {line}" for line in split_problems(splits[path], samples)]
    for family in sorted({path.parent for path in paths}):
        members = [split for path, split in splits.items() if path.parent == family]
        problems += [f"{family}: {line}" for line in family_problems(members, samples)]
    if problems:
        raise InputError(f"{folder}: the splits are not sound", problems)
    with bar("counting classes") as report:
        pixels = sample_pixels(samples, report, data.verified)
    return {path: support_table(split, samples, pixels) for path, split in splits.items()}


def split_problems(split: Split, samples: Sequence[Sample]) -> list[str]:
    """Lists what makes a split incomplete, or trains on what it says it holds out.

    Every sample is in a part or has a reason to be in none: it is a copy of what is scored, or it
    belongs together with something of the held-out domain, or it is a copy without its original
    whose domain nobody stated. All but the first must be listed in ``left_out``.
    Overlaps are for :func:`mmseg_heritage.dataprep.splits.split.check_split`.
    """
    part_of = {i: part for part, ids in split.parts.items() for i in ids}
    left_out = set(split.details.get("left_out", ()))
    held_out = split.details.get("held_out", {}).items()
    problems = [
        f"'{i}' is in left_out and in '{part_of[i]}'" for i in sorted(left_out & part_of.keys())
    ]
    for unit in split_units(samples, split.near_duplicates):
        scored = any(part_of.get(s.id) in SCORED_PARTS for s in unit)
        tied = any(getattr(s, attribute) == value for s in unit for attribute, value in held_out)
        for sample in unit:
            part = part_of.get(sample.id)
            if part is None and sample.id not in left_out and not (scored and sample.is_derived):
                problems.append(f"'{sample.id}' is in no part, and left_out does not list it")
            elif part is None and not (sample.is_derived or tied):
                problems.append(f"'{sample.id}' is an original and left out without need")
            elif part not in (None, "test") and tied:
                problems.append(f"'{sample.id}' in '{part}' belongs to what is held out")
            elif part == "test" and any(getattr(sample, a) != value for a, value in held_out):
                problems.append(f"'{sample.id}' in 'test' is not of what is held out")
    return problems


def family_problems(splits: Sequence[Split], samples: Sequence[Sample]) -> list[str]:
    """Lists originals that the folds of one family do not test exactly once, and missing folds."""
    families: dict[tuple[str, int], list[Split]] = {}
    for split in splits:
        if "folds" in split.details:
            key = (str(split.details.get("kind")), split.details["folds"])
            families.setdefault(key, []).append(split)
    problems = []
    for (kind, folds), family in families.items():
        if len(family) != folds:
            problems.append(f"found {len(family)} of the {folds} folds of {kind}")
        times = Counter(i for split in family for i in split.part("test"))
        problems += [
            f"'{s.id}' is tested {times[s.id]} times in {kind}"
            for s in samples
            if not s.is_derived and times[s.id] != 1
        ]
    return problems


def support_table(
    split: Split, samples: Sequence[Sample], pixels: Mapping[str, NDArray[np.int64]]
) -> str:
    """Lays out how many images and pixels of each class, material and content the parts have."""
    parts = list(split.parts)
    rows: list[list[object]] = []
    names = [*samples[0].classes.names, "outside the object"]
    counts = [np.array([pixels[i] for i in split.part(p)]).reshape(-1, len(names)) for p in parts]
    for row, name in enumerate(names):
        images = [int((c[:, row] > 0).sum()) for c in counts]
        rows.append([name, *images, *(f"{int(c[:, row].sum()):,}" for c in counts)])
    by_id = {s.id: s for s in samples}
    for attribute in ("material", "content"):
        for value in sorted({getattr(s, attribute) for s in samples} - {""}):
            images = [
                sum(getattr(by_id[i], attribute) == value for i in split.part(p)) for p in parts
            ]
            rows.append([value, *images, *[""] * len(parts)])
    rows.append(["all", *(len(split.part(p)) for p in parts), *[""] * len(parts)])
    header = ["", *(f"{p} images" for p in parts), *(f"{p} pixels" for p in parts)]
    return plain_table(header, rows)
