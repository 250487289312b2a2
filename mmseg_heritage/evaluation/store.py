"""The counts of a tested run, image by image: the one file that all scores are derived from.

``per_image.npz`` opens with numpy alone, without pickles. Its arrays are the fields of
:class:`Counts`; ``levels`` and ``own_levels`` are JSON, and the counts of a level of its own are in
``head_<level>``.
"""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import IGNORE_INDEX, Level
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.utils.json_reading import form_problems

SCHEMA = "mmseg_heritage/per_image/4"
PARTS = ("boundary", "skeleton", "components", "calibration")
"""What is counted besides confusion, where it is asked for."""

_NAMES = ("classes", "ids", "groups", "materials", "contents")
_LEVELS = ("levels", "own_levels")
_HEAD = "head_"
_KINDS = {"U": "text", "u": "bytes", "i": "whole numbers", "f": "numbers"}
_MAX_BYTES = 16 << 30  # of the arrays of a test of a million images
_MAX_COUNT = 1 << 53  # sums of larger ones would overflow


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
            text = {name: vars(level) for name, level in value.items()}
            arrays[entry.name] = np.array(json.dumps(text))
        elif entry.name == "boundary_tolerance":
            arrays[entry.name] = np.array(float(value))
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
        arrays = _arrays(path)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, struct.error,
            NotImplementedError, RuntimeError) as error:  # fmt: skip
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
    problems = _type_problems(arrays) or list(_level_problems(arrays))
    if not problems:
        counts = _counts(arrays)
        problems = _problems(counts)
    if problems:
        raise InputError(
            f"{path}: is damaged; test the checkpoint again with --overwrite", problems
        )
    return counts


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads arrays after their headers, so that none takes more memory than it has in the file.

    Raises:
        ValueError: If a header asks for more, or the file for more than any test writes; and what
            else reading a damaged file may raise.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if (total := sum(member.file_size for member in members)) > _MAX_BYTES:
            raise ValueError(f"it holds {total} bytes, expected at most {_MAX_BYTES}")
        for member in members:
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = {(1, 0): np.lib.format.read_array_header_1_0,
                        (2, 0): np.lib.format.read_array_header_2_0}  # fmt: skip
                if version not in read:
                    raise ValueError(f"{member.filename} has the format {version}")
                shape, _, dtype = read[version](file)
                if math.prod(shape) * dtype.itemsize > member.file_size:
                    raise ValueError(f"{member.filename} is shorter than its header says")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _type_problems(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Lists what is missing, or has another type than it is written with, or impossible values."""
    problems = []
    expected = dict.fromkeys(_NAMES, ("U", 1)) | dict.fromkeys(_LEVELS, ("U", 0))
    expected |= {"palette": ("u", 2), "boundary_tolerance": ("f", 0), "component_edges": ("i", 1)}
    expected |= {"confusion": ("i", 3), "boundary": ("i", 3), "skeleton": ("i", 3),
                 "components": ("i", 4), "calibration": ("f", 3)}  # fmt: skip
    expected |= {name: ("i", 3) for name in arrays if name.startswith(_HEAD)}
    for name, (kind, dims) in expected.items():
        array = arrays.get(name)
        if array is None:
            problems.append(f"{name} is missing")
        elif (array.dtype.kind, array.ndim) != (kind, dims):
            problems.append(
                f"{name} is {array.dtype} of {array.ndim} dimensions, expected {_KINDS[kind]} of "
                f"{dims}"
            )
        elif kind != "U" and not _are_counts(array, name != "component_edges"):
            problems.append(f"{name} holds numbers that count nothing")
    return problems


def _are_counts(array: np.ndarray, limited: bool) -> bool:
    """Whether numbers are from 0 on, and so small that their sums are exact; NaN is not."""
    return not array.size or bool(array.min() >= 0 and (not limited or array.max() < _MAX_COUNT))


def _level_problems(arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yields what is wrong with the levels, which are JSON."""
    for key in _LEVELS:
        try:
            content = json.loads(str(arrays[key]))
        except (ValueError, RecursionError) as error:
            yield f"{key} is no JSON ({error})"
            continue
        level_form = {"classes": [str], "colors": [[int]], "fine_to_group": [int]}
        problems = list(form_problems(content, {str: level_form}, key))
        yield from problems
        for name, level in content.items() if not problems else ():
            if not level_form.keys() <= level.keys():
                yield f"{key}.{name}: expected {', '.join(level_form)}"
            elif f"{_HEAD}{name}" not in arrays and key == "own_levels":
                yield f"{_HEAD}{name} is missing"


def _counts(arrays: Mapping[str, np.ndarray]) -> Counts:
    """Builds the counts from what the file holds."""
    values: dict[str, Any] = {
        entry.name: arrays[entry.name] for entry in fields(Counts) if entry.name != "own"
    }
    for key in _NAMES:
        values[key] = tuple(values[key].tolist())
    for key in _LEVELS:
        values[key] = {
            name: Level(
                tuple(level["classes"]),
                tuple(map(tuple, level["colors"])),
                tuple(level["fine_to_group"]),
            )
            for name, level in json.loads(str(values[key])).items()
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
    if len(set(counts.classes)) != classes or not classes or not images:
        problems.append("there are no classes or images, or two classes have one name")
    if np.any(np.diff(counts.component_edges) <= 0):
        problems.append("component_edges do not rise")
    for name, level in {**counts.levels, **counts.own_levels}.items():
        if len(level.fine_to_group) != classes:
            problems.append(f"level {name} groups {len(level.fine_to_group)} of {classes} classes")
        groups = range(len(level.classes))
        if not set(level.fine_to_group) <= {*groups, IGNORE_INDEX}:
            problems.append(f"level {name} has groups without a name")
        if [len(color) for color in level.colors] != [3 for _ in groups]:
            problems.append(f"level {name} has not one color for each group")
    return problems
