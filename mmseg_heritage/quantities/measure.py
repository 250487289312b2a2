"""Measuring a class map: areas, lengths, widths, numbers and regions of damage.

Maps of any size are measured in strips of rows and tiles of these; they may be mapped from a file.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import strips
from mmseg_heritage.images.masks import pair_counts, value_counts
from mmseg_heritage.quantities import UNSURE_BELOW
from mmseg_heritage.quantities.center_lines import CenterLine, center_line
from mmseg_heritage.quantities.region_table import (
    RegionStrips,
    RegionTable,
    joined_table,
    tiles,
)
from mmseg_heritage.quantities.scale import Scale
from mmseg_heritage.taxonomy import LINE, UNDECIDED

DIRECTIONS = 12
"""Bins of directions, 15 degrees each: the first around horizontal, the seventh around vertical."""
HALO = 128
"""Pixels around a tile that are looked at with it: lines up to about twice as wide are measured as
in the whole map."""

_TILE = 1024
_STRIP = 1 << 23  # pixels


@dataclass(frozen=True, eq=False)
class LineMeasure:
    """Center lines of a class.

    Attributes:
        length: In pixels.
        length_mm: None without a scale, as all in mm.
        mean_width: In pixels, the mean along the lines; None where there are none.
        mean_width_mm: The same.
        largest_width: In pixels; None where there are none.
        largest_width_mm: The same.
        directions: Length in pixels, or in mm with a scale, by :data:`DIRECTIONS`.
    """

    length: float
    length_mm: float | None
    mean_width: float | None
    mean_width_mm: float | None
    largest_width: float | None
    largest_width_mm: float | None
    directions: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class ClassMeasure:
    """What a class covers.

    Attributes:
        pixels: Number of pixels.
        share_of_object: In the pixels of the object, 0 to 1; None where there is no object.
        share_of_image: In all pixels, 0 to 1.
        area_mm2: None without a scale.
        regions: Number of regions; None of what is no damage.
        mean_confidence: Mean probability of the chosen class, 0 to 1; None where there is none.
        line: Of a class that is measured by lines; None of others.
        density: Length in mm for each square centimeter of the object; None without line or scale.
    """

    pixels: int
    share_of_object: float | None
    share_of_image: float
    area_mm2: float | None
    regions: int | None
    mean_confidence: float | None
    line: LineMeasure | None
    density: float | None


@dataclass(frozen=True, eq=False)
class Measurement:
    """What was measured on a class map.

    Attributes:
        shape: Height and width in pixels.
        scale: None where lengths in mm are not known.
        object_pixels: Pixels that are neither 255 nor of a class outside the object; those that
            are not decided are among them.
        classes: One for each class of the map.
        regions: Of the classes that are damage.
        unsure_share: Share of the pixels of the object of less than some confidence, 0 to 1; None
            without confidences or an object.
        undecided_pixels: Pixels of the object for which the model chose no class (254).
    """

    shape: tuple[int, int]
    scale: Scale | None
    object_pixels: int
    classes: tuple[ClassMeasure, ...]
    regions: RegionTable
    unsure_share: float | None
    undecided_pixels: int = 0


def measure(
    class_map: np.ndarray,
    kinds: Sequence[str],
    scale: Scale | None = None,
    confidence: np.ndarray | None = None,
    clean: int | None = None,
    outside: Collection[int] = (),
    unsure_below: float = UNSURE_BELOW,
) -> Measurement:
    """Measures a class map.

    Args:
        class_map: Class ids, 254 (not decided) or 255, uint8 (H, W).
        kinds: What each class is measured by, see :data:`mmseg_heritage.taxonomy.KINDS`.
        scale: Of the map.
        confidence: Probability of the chosen class in steps of 1/255, uint8 (H, W).
        clean: Class that is no damage: it has an area and no regions.
        outside: Classes outside the object, as 255 is; they too have an area only.
        unsure_below: Confidence from which on a pixel is not unsure, 0 to 1.

    Raises:
        InputError: If the map holds ids of no class, or the confidences have another size.
    """
    counts = value_counts(class_map)
    unknown = np.flatnonzero(counts[len(kinds) : UNDECIDED]) + len(kinds)
    if len(unknown):
        raise InputError(f"expected class ids 0..{len(kinds) - 1} or 255, found {unknown[0]}")
    if confidence is not None and confidence.shape != class_map.shape:
        raise InputError(
            f"expected confidences of {class_map.shape} pixels, found {confidence.shape}"
        )
    damages = [i for i in range(len(kinds)) if counts[i] and i != clean and i not in outside]
    collected = {i: RegionStrips(class_map.shape[1]) for i in damages}
    directions = {i: np.zeros(DIRECTIONS) for i in damages}
    by_confidence = np.zeros((256, 256), np.int64)
    height, width = class_map.shape
    for rows in strips(height, width, _STRIP, _TILE):
        strip = np.asarray(class_map[rows])
        sure = None if confidence is None else np.asarray(confidence[rows])
        if sure is not None:
            by_confidence += pair_counts(strip, sure, 256)
        for i in damages:
            ids, block = collected[i].add(strip == i, rows.start, sure)
            if kinds[i] == LINE and len(block["pixels"]):
                directions[i] += _add_lines(class_map, i, rows, ids, block, scale)
    regions = joined_table({i: found.regions() for i, found in collected.items()})
    return _summed(
        class_map.shape, kinds, scale, counts, regions, directions,
        None if confidence is None else by_confidence, clean, outside, unsure_below,
    )  # fmt: skip


def _add_lines(
    class_map: np.ndarray,
    index: int,
    rows: slice,
    ids: NDArray[np.int32],
    block: dict[str, NDArray[np.float64]],
    scale: Scale | None,
) -> NDArray[np.float64]:
    """Adds the center lines in a strip to its components; returns their length by direction."""
    height, width = class_map.shape
    totals = np.zeros(DIRECTIONS)
    top, bottom = max(rows.start - HALO, 0), min(rows.stop + HALO, height)
    for columns in tiles(width, _TILE):
        if not ids[:, columns].any():
            continue
        left, right = max(columns.start - HALO, 0), min(columns.stop + HALO, width)
        mask = np.asarray(class_map[top:bottom, left:right]) == index
        down, across = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        # Thinning takes as long as there are pixels, whatever is on them.
        line = center_line(mask[down[0] : down[-1] + 1, across[0] : across[-1] + 1])
        row = line.rows + down[0] + top - rows.start
        column = line.columns + across[0] + left
        inside = (row >= 0) & (row < rows.stop - rows.start)
        inside &= (column >= columns.start) & (column < columns.stop)
        component = ids[row[inside], column[inside]] - 1
        totals += _add_pieces(block, component, line, inside, scale)
    return totals


def _add_pieces(
    block: dict[str, NDArray[np.float64]],
    component: NDArray[np.int32],
    line: CenterLine,
    inside: NDArray[np.bool_],
    scale: Scale | None,
) -> NDArray[np.float64]:
    """Adds pieces of center lines to their components; returns their length by direction."""
    length, width, angle = line.length[inside], line.width[inside], line.angle[inside]
    _add(block, component, length, width, "")
    if scale is not None:
        right, up = np.cos(angle) * scale.across, np.sin(angle) * scale.down
        stretched = np.hypot(right, up)
        # The area of a piece is its length times its width, in pixels and in millimeters.
        width = width * scale.pixel_area / stretched
        length, angle = length * stretched, np.mod(np.arctan2(up, right), np.pi)
        _add(block, component, length, width, "_mm")
    bins = np.mod(np.rint(angle * DIRECTIONS / np.pi).astype(int), DIRECTIONS)
    return np.bincount(bins, length, DIRECTIONS).astype(np.float64)


def _add(
    block: dict[str, NDArray[np.float64]],
    component: NDArray[np.int32],
    length: NDArray[np.float64],
    width: NDArray[np.float64],
    unit: str,
) -> None:
    number = len(block["pixels"])
    block[f"length{unit}"] += np.bincount(component, length, number)
    block[f"width_sum{unit}"] += np.bincount(component, length * width, number)
    np.maximum.at(block[f"largest_width{unit}"], component, width)


def _summed(
    shape: tuple[int, ...],
    kinds: Sequence[str],
    scale: Scale | None,
    counts: NDArray[np.int64],
    regions: RegionTable,
    directions: dict[int, NDArray[np.float64]],
    by_confidence: NDArray[np.int64] | None,
    clean: int | None,
    outside: Collection[int],
    unsure_below: float,
) -> Measurement:
    """Adds up what was found of the regions and pixels of each class."""
    height, width = shape
    inner = [*(i for i in range(len(kinds)) if i not in outside), UNDECIDED]
    object_pixels = int(counts[inner].sum())
    found = []
    for i, kind in enumerate(kinds):
        pixels = int(counts[i])
        line = None
        if kind == LINE and i != clean and i not in outside:
            line = _line_of(regions, i, directions.get(i), scale)
        density = None
        if line is not None and scale is not None and object_pixels:
            density = (line.length_mm or 0) / (object_pixels * scale.pixel_area / 100)
        sure = None
        if by_confidence is not None and pixels:
            sure = float(by_confidence[i] @ np.arange(256) / 255 / pixels)
        found.append(
            ClassMeasure(
                pixels,
                pixels / object_pixels if object_pixels and i in inner else None,
                pixels / (height * width),
                None if scale is None else pixels * scale.pixel_area,
                None if i == clean or i in outside else int((regions.classes == i).sum()),
                sure,
                line,
                density,
            )
        )
    unsure = None
    if by_confidence is not None and object_pixels:
        below = np.arange(256) / 255 < unsure_below
        unsure = float(by_confidence[inner][:, below].sum() / object_pixels)
    undecided = int(counts[UNDECIDED])
    return Measurement(
        (height, width), scale, object_pixels, tuple(found), regions, unsure, undecided
    )


def _line_of(
    regions: RegionTable, index: int, directions: NDArray[np.float64] | None, scale: Scale | None
) -> LineMeasure:
    own = regions.classes == index
    values = {name: column[own] for name, column in regions.values.items()}
    length, length_mm = float(values["length"].sum()), float(values["length_mm"].sum())
    is_there = length > 0
    in_mm = is_there and scale is not None
    return LineMeasure(
        length,
        None if scale is None else length_mm,
        float(values["width_sum"].sum()) / length if is_there else None,
        float(values["width_sum_mm"].sum()) / length_mm if in_mm else None,
        float(values["largest_width"].max()) if is_there else None,
        float(values["largest_width_mm"].max()) if in_mm else None,
        tuple((np.zeros(DIRECTIONS) if directions is None else directions).tolist()),
    )
