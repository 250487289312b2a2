"""The counts of a tested run, image by image: the one file that all scores are derived from.

``per_image.npz`` opens with numpy alone, without pickles. Its arrays are the fields of
:class:`Counts`; ``levels`` and ``own_levels`` are JSON, and the counts of a level of its own are in
``head_<level>``.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import Level
from mmseg_heritage.utils.files import replacing

SCHEMA = "mmseg_heritage/per_image/3"
PARTS = ("boundary", "skeleton", "components", "calibration")
"""What is counted besides confusion, where it is asked for."""

_NAMES = ("classes", "ids", "groups", "materials", "contents")
_LEVELS = ("levels", "own_levels")
_HEAD = "head_"


@dataclass(frozen=True, eq=False)
class Counts:
    """What was counted on each image of a test.

    C is the number of classes, N of images, G of groups at a level, B of size bins, K of bins of
    confidence. A part that was not counted has C, B or K = 0 in its shape; see :meth:`has`.

    Attributes:
        classes: Names; the position is the id.
        palette: uint8 (C, 3), sRGB.
        ids: Sample ids, sorted.
        groups: Of each image the name of the unit that no split may divide: its source object with
            its near-duplicates (:func:`mmseg_heritage.dataprep.splits.groups.split_units`). The
            unit of the bootstrap.
        materials: Of each image, empty where unknown.
        contents: Of each image, empty where unknown.
        confusion: int64 (N, C, C) pixels; rows are the truth; 255 is left out.
        levels: Level name -> grouping of the C classes, for scores derived from ``confusion``.
        own_levels: Level name -> grouping of the C classes that the model has a head for.
        own: Level name of ``own_levels`` -> int64 (N, G + 1, G + 1) pixels of the map that the
            model's own head predicted, in the form of
            :func:`mmseg_heritage.evaluation.counts.confusion.level_counts`.
        boundary: int64 (N, C, 4) pixels: predicted boundary, of these within the tolerance of the
            true one, true boundary, of these within the tolerance of the predicted one.
        boundary_tolerance: Share of the image's diagonal.
        skeleton: int64 (N, C, 4) pixels: predicted center line, of these on the class in the truth,
            true center line, of these on the class in the prediction; 0 for Clean.
        components: int64 (N, C, B, 2): connected components of the truth by size, and how many of
            these were found.
        component_edges: int64 (B + 1,) pixels; bin b holds sizes from edge b up to, but without,
            edge b + 1.
        calibration: float64 (N, K, 3) by bin of confidence: pixels, sum of their confidences, right
            ones among them. All 0 for an image whose model gave no scores.
    """

    classes: tuple[str, ...]
    palette: np.ndarray
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    materials: tuple[str, ...]
    contents: tuple[str, ...]
    confusion: np.ndarray
    levels: Mapping[str, Level] = field(default_factory=dict)
    own_levels: Mapping[str, Level] = field(default_factory=dict)
    own: Mapping[str, np.ndarray] = field(default_factory=dict)
    boundary: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 4), np.int64))
    boundary_tolerance: float = 0.0
    skeleton: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 4), np.int64))
    components: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0, 2), np.int64))
    component_edges: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    calibration: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 3)))

    def has(self, part: str) -> bool:
        """Whether one of :data:`PARTS` was counted."""
        return bool(getattr(self, part).size)

    def select(self, images: np.ndarray) -> Counts:
        """Returns the counts of some images.

        Args:
            images: Positions in rising order, or one bool for each image.
        """
        positions = np.arange(len(self.ids))[images]
        changes: dict[str, Any] = {
            key: tuple(getattr(self, key)[i] for i in positions) for key in _NAMES[1:]
        }
        changes |= {
            key: array[positions] if len(array := getattr(self, key)) else array
            for key in ("confusion", *PARTS)
        }
        own = {name: array[positions] for name, array in self.own.items()}
        return replace(self, **changes, own=own)


def save_counts(path: str | Path, counts: Counts) -> None:
    """Writes the counts of a test, replacing ``path`` in one step.

    Raises:
        ValueError: If the parts of ``counts`` do not fit together.
    """
    problems = _problems(counts)
    if problems:
        raise ValueError(f"counts that do not fit together: {'; '.join(problems)}")
    arrays: dict[str, Any] = {"schema": np.array(SCHEMA)}
    for entry in fields(Counts):
        value = getattr(counts, entry.name)
        if entry.name in _LEVELS:
            text = {name: [v.classes, v.colors, v.fine_to_group] for name, v in value.items()}
            arrays[entry.name] = np.array(json.dumps(text))
        elif entry.name == "own":
            arrays |= {_HEAD + name: array for name, array in value.items()}
        else:
            arrays[entry.name] = np.array(value, dtype=str if entry.name in _NAMES else None)
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def load_counts(path: str | Path) -> Counts:
    """Reads the counts of a test.

    Raises:
        InputError: If there is no such file, if it was written by another version, or if it is
            damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; test.py writes it, beside metrics.json")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path}: expected the per_image.npz of a test, but it cannot be read ({error}); test "
            "the checkpoint again with --overwrite"
        ) from error
    schema = str(arrays.pop("schema", "an earlier one"))
    if schema != SCHEMA:
        raise InputError(
            f"{path}: expected the schema {SCHEMA}, found {schema}; test the checkpoint again with "
            "--overwrite"
        )
    try:
        counts = _counts(arrays)
        problems = _problems(counts)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        problems = [f"{type(error).__name__}: {error}"]
    if problems:
        raise InputError(
            f"{path}: is damaged; test the checkpoint again with --overwrite", problems
        )
    return counts


def _counts(arrays: Mapping[str, np.ndarray]) -> Counts:
    """Builds the counts from what the file holds."""
    values: dict[str, Any] = {
        entry.name: arrays[entry.name] for entry in fields(Counts) if entry.name != "own"
    }
    for key in _NAMES:
        values[key] = tuple(values[key].tolist())
    for key in _LEVELS:
        values[key] = {
            name: Level(tuple(classes), tuple(map(tuple, colors)), tuple(groups))
            for name, (classes, colors, groups) in json.loads(str(values[key])).items()
        }
    values["own"] = {name: arrays[_HEAD + name] for name in values["own_levels"]}
    return Counts(**{**values, "boundary_tolerance": float(values["boundary_tolerance"])})


def _problems(counts: Counts) -> list[str]:
    """Lists what does not fit together."""
    images, classes = len(counts.ids), len(counts.classes)
    bins = max(len(counts.component_edges) - 1, 0)
    expected: dict[str, tuple[np.ndarray, tuple[int, ...]]] = {
        "palette": (counts.palette, (classes, 3)),
        "confusion": (counts.confusion, (images, classes, classes)),
    }
    for part, shape in (
        ("boundary", (images, classes, 4)),
        ("skeleton", (images, classes, 4)),
        ("components", (images, classes, bins, 2)),
        ("calibration", (images, counts.calibration.shape[1], 3)),
    ):
        if getattr(counts, part).size:
            expected[part] = (getattr(counts, part), shape)
    for name, level in counts.own_levels.items():
        side = len(level.classes) + 1
        expected[_HEAD + name] = (counts.own[name], (images, side, side))
    problems = [
        f"{name} has the shape {array.shape}, expected {shape}"
        for name, (array, shape) in expected.items()
        if array.shape != shape
    ]
    problems += [
        f"{name} has {len(getattr(counts, name))} entries for {images} images"
        for name in ("groups", "materials", "contents")
        if len(getattr(counts, name)) != images
    ]
    if list(counts.ids) != sorted(set(counts.ids)):
        problems.append("ids are not sorted, or some come twice")
    for name, level in {**counts.levels, **counts.own_levels}.items():
        if len(level.fine_to_group) != classes:
            problems.append(f"level {name} groups {len(level.fine_to_group)} of {classes} classes")
    return problems
