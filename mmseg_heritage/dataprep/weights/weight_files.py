"""Class weights of the training part of a split: counted, computed, written with their origin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.data_folder import DataFolder
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.splits.split import Split, check_split, default_split, load_split
from mmseg_heritage.dataprep.statistics import group_pixels, sample_pixels
from mmseg_heritage.dataprep.weights.weight_formulas import class_weights, save_class_weights
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import finished_files, writing_together
from mmseg_heritage.utils.progress import Bar, no_bar

FOLDER = "class_weights"
"""Folder below the data root where weights go unless another place is named."""


def make_weight_files(
    root: str | Path,
    split_file: str = "",
    out: str | Path | None = None,
    formula: str = "inverse_sqrt_log_scaled",
    max_ratio: float | None = None,
    level: str = "fine",
    overwrite: bool = False,
    bar: Bar = no_bar,
    draw: Callable[[Path, dict[str, Any]], object] | None = None,
) -> dict[Path, dict[str, Any]]:
    """Counts the pixels of the training part of a split, and writes class weights from them.

    Everything that the training part names is counted as it is trained on: originals, and copies
    and tiles beside them. Masks of val and test are not opened.

    Args:
        root: Folder of the data set.
        split_file: Split manifest below ``root`` or absolute, as in a config; a folder of folds
            gives one file for each; empty takes the default split.
        out: File to write, or a folder. None writes to ``<root>/class_weights/``, under the name
            of the split. The place for a bar chart, :func:`chart_of`, must be free too.
        formula: A name in :data:`mmseg_heritage.dataprep.weights.weight_formulas.FORMULAS`.
        max_ratio: See :func:`mmseg_heritage.dataprep.weights.weight_formulas.class_weights`.
        level: Level of the data set's classes that is trained.
        overwrite: Replace files that are already there.
        bar: Shows progress.
        draw: Called with the place for a bar chart, and what it shows.

    Returns:
        File -> what :func:`mmseg_heritage.dataprep.weights.weight_formulas.save_class_weights`
        wrote to it.

    Raises:
        InputError: If a split does not fit the data, a mask cannot be read, the weights cannot be
            computed, or files are in the way; nothing is written then but, where the weights of a
            later fold cannot be computed, those of earlier folds.
    """
    class_weights([1], formula, image_pixels=[1], max_ratio=max_ratio)  # refuses what is no option
    data = DataFolder(root)
    samples = data.samples
    levels = samples[0].classes.levels
    if level not in levels:
        raise InputError(f"level must be one of {', '.join(levels)}, found '{level}'")
    splits = _splits(Path(root), split_file, samples)
    targets = _targets(Path(root), split_file, out, splits)
    files = [path for target in targets.values() for path in (target, chart_of(target))]
    folder = files[0].parent
    in_the_way = list(map(str, finished_files(folder, files)))
    if in_the_way and not overwrite:
        raise InputError(
            "class weights are already there; name another place with --out, or replace them with "
            "--overwrite",
            in_the_way,
        )
    trained = {i for split in splits.values() for i in split.part("train")}
    with bar("counting classes") as report:
        pixels = sample_pixels([s for s in samples if s.id in trained], report, data.verified)
    written = {}
    with writing_together(folder, files):
        for path, split in splits.items():
            target = targets[path]
            content = _save(target, path, split, samples, pixels, formula, max_ratio, level)
            written[target] = content
            if draw is not None:
                draw(chart_of(target), content)
    return written


def chart_of(path: Path) -> Path:
    """Returns the place for the bar chart of a file of weights."""
    return path.with_suffix(".png")


def _splits(root: Path, split_file: str, samples: Sequence[Sample]) -> dict[Path, Split]:
    """Returns manifest -> split; the default split has no manifest, but a name for one."""
    if not split_file:
        split = default_split(samples)
        return {Path(f"{split.name}.json"): split}
    place = root / split_file
    paths = sorted(place.glob("[!.]*.json")) if place.is_dir() else [place]
    if not paths:
        raise InputError(f"{place}: no split manifests here; make them with make_splits.py")
    splits = {path: load_split(path) for path in paths}
    for path, split in splits.items():
        check_split(split, samples, path)
    return splits


def _targets(
    root: Path, split_file: str, out: str | Path | None, splits: Mapping[Path, Split]
) -> dict[Path, Path]:
    """Returns manifest -> file of weights."""
    is_family = bool(split_file) and (root / split_file).is_dir()
    if out is not None and not is_family:
        folder = Path(out)
        return {path: folder / path.name if folder.is_dir() else folder for path in splits}
    folder = Path(out) if out is not None else root / FOLDER
    if out is None and is_family:
        folder /= (root / split_file).name
    return {path: folder / path.name for path in splits}


def _save(
    target: Path,
    manifest: Path,
    split: Split,
    samples: Sequence[Sample],
    pixels: Mapping[str, NDArray[np.int64]],
    formula: str,
    max_ratio: float | None,
    level: str,
) -> dict[str, Any]:
    """Writes the weights of one split."""
    ids = split.part("train")
    if not ids:
        raise InputError(f"{manifest}: the training part is empty, so that nothing can be counted")
    grouping = samples[0].classes.levels[level]
    counts = group_pixels(np.stack([pixels[i] for i in ids]), grouping)
    copies = {s.id for s in samples if s.is_derived}.intersection(ids)
    details = {
        "level": level,
        "image_counts": [int(n) for n in (counts > 0).sum(axis=0)],
        "split": {
            "name": split.name,
            "file": manifest.name,
            "sha256": split.digest(),
            "part": "train",
            "images": len(ids),
            "copies_among_them": len(copies),
        },
    }
    return save_class_weights(
        target,
        counts.sum(axis=0),
        grouping.classes,
        formula,
        image_pixels=((counts > 0) * counts.sum(axis=1, keepdims=True)).sum(axis=0),
        max_ratio=max_ratio,
        details=details,
        overwrite=True,
    )
