"""The regions of a prediction as the review page shows them: sorted, with simplified borders."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.shapes.polygons import find_outlines
from mmseg_heritage.quantities.records import REGION_COLUMNS
from mmseg_heritage.quantities.review_order import expected_wrong
from mmseg_heritage.review.corrections import region_mask

MOST_SHOWN = 20_000
"""Regions of a photograph on the page, those with the largest expected wrong area."""
_ERROR = 0.75  # pixels that a shown border may be off: removes the stairs of slanted ones
_MAX_CORNERS = 500
_SHEET = 1 << 23  # pixels on which borders are found together


def read_regions(path: Path) -> list[dict[str, Any]]:
    """Reads the table of the regions of a photograph, sorted by "look here first".

    That is by the area that is expected to be wrong, ``pixels * (1 - mean_confidence)``; without
    confidences by area.

    Returns:
        For each region number, class, box, pixels, confidence (or None), length in pixels or
        millimeters (or None) and wrong pixels.

    Raises:
        InputError: If there is no such table, or it is not as predict wrote it.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != REGION_COLUMNS:
                raise InputError(f"{path}: expected the columns {', '.join(REGION_COLUMNS)}")
            rows = [_region(row) for row in reader]
    except (ValueError, TypeError, csv.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected a table of regions, as predict writes it") from error
    return sorted(rows, key=lambda row: (-row["wrong"], row["number"]))


def _region(row: Mapping[str, str]) -> dict[str, Any]:
    pixels = int(row["pixels"])
    confidence = float(row["mean_confidence"]) if row["mean_confidence"] else None
    return {
        "number": int(row["region"]),
        "class": row["class"],
        "box": tuple(int(row[key]) for key in ("left", "top", "width", "height")),
        "pixels": pixels,
        "confidence": confidence,
        "length": float(row["length_px"]) if row["length_px"] else None,
        "wrong": expected_wrong(pixels, confidence or 0),
    }


def shown_regions(
    rows: list[dict[str, Any]],
    class_map: np.ndarray,
    value_of: Callable[[str], int],
    place: Mapping[str, int],
) -> Iterator[list[Any]]:
    """Yields regions for the page, short since there are many.

    Each is [number, position of the class, left, top, width, height, pixels, confidence, length,
    rings]; a ring is a list of numbers: x and y of its first corner, from the corner of the box,
    then the steps to the others, all in quarters of a pixel.

    Args:
        rows: As :func:`read_regions` returns them.
        class_map: Mask values, uint8 (H, W).
        value_of: Name of a class -> its mask value.
        place: Name of a class -> its position on the page.

    Raises:
        InputError: If table and map do not belong together.
    """
    waiting: list[dict[str, Any]] = []
    masks: list[NDArray[np.bool_]] = []
    width = 0
    for row in rows[:MOST_SHOWN]:
        mask = region_mask(class_map, value_of(row["class"]), row["box"])
        if mask is None or np.count_nonzero(mask) != row["pixels"]:
            raise InputError(
                f"the table of regions and the class map do not belong together (region "
                f"{row['number']}); predict the photograph again"
            )
        width = max(width, mask.shape[1])
        if masks and (sum(map(len, masks)) + len(mask)) * width > _SHEET:
            yield from _with_rings(waiting, masks, place)
            waiting, masks, width = [], [], mask.shape[1]
        waiting.append(row)
        masks.append(mask)
    if masks:
        yield from _with_rings(waiting, masks, place)


def _with_rings(
    rows: list[dict[str, Any]], masks: list[NDArray[np.bool_]], place: Mapping[str, int]
) -> Iterator[list[Any]]:
    """Yields regions with their borders, which are found on one sheet for all: that is faster."""
    tops = np.cumsum([0, *(len(mask) + 1 for mask in masks)])
    sheet = np.zeros((tops[-1], max(mask.shape[1] for mask in masks)), np.uint8)
    for top, mask in zip(tops, masks, strict=False):
        sheet[top : top + len(mask), : mask.shape[1]] = mask
    rings: list[list[list[int]]] = [[] for _ in masks]
    for outline in find_outlines(sheet, [1], _ERROR, _MAX_CORNERS):
        i = int(np.searchsorted(tops, outline.region.box[1], side="right")) - 1
        rings[i] += [_steps(ring - (0, tops[i])) for ring in outline.rings]
    for row, found in zip(rows, rings, strict=True):
        yield [
            row["number"], place[row["class"]], *row["box"], row["pixels"], row["confidence"],
            row["length"], found,
        ]  # fmt: skip


def _steps(ring: np.ndarray) -> list[int]:
    quarters = np.rint(4 * ring).astype(int)
    return np.concatenate([quarters[:1], np.diff(quarters, axis=0)]).ravel().tolist()
