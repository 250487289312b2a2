"""Class maps at the size of a picture, in which thin damage is drawn two pixels wide."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.images.color import strips
from mmseg_heritage.images.masks import value_counts
from mmseg_heritage.images.resizing import fitted_size
from mmseg_heritage.taxonomy import IGNORE_INDEX

_STRIP = 1 << 24  # pixels of the map that are read at a time
_WIDENED = 1 << 19  # pixels that are widened at a time
_REACH = 2  # rows on either side on which a widened pixel depends
_PAIR = np.ones((2, 2), np.uint8)
_AROUND = np.ones((3, 3), np.uint8)


def fitted_shape(shape: tuple[int, ...], edge: int) -> tuple[int, int]:
    """Returns the height and width of a picture whose long edge has at most ``edge`` pixels."""
    width, height = fitted_size(shape[1], shape[0], edge)
    return height, width


def shown_map(
    class_map: np.ndarray,
    edge: int,
    clean: int | None = 0,
    counts: NDArray[np.int64] | None = None,
) -> NDArray[np.uint8]:
    """Shrinks a class map for a picture, and keeps in it what plain sampling loses.

    A pixel of the result has the class in the middle of its part of the map. Where that drops
    damage altogether, the rarest class of each part is put back; what is then narrower than two
    pixels is widened to two, over Clean only. Areas are therefore not those of the map.

    Args:
        class_map: uint8 (H, W), class ids or 255; may be mapped from a file.
        edge: Longest side of the result in pixels; a smaller map keeps its size.
        clean: Id that is no damage. None (nothing is) leaves thin parts as they are.
        counts: What :func:`value_counts` gives for the map; None counts.

    Returns:
        uint8 (h, w), a new array.
    """
    height, width = fitted_shape(class_map.shape, edge)
    rows, columns = (
        ((np.arange(n) + 0.5) * side / n).astype(np.intp)
        for n, side in zip((height, width), class_map.shape, strict=True)
    )
    if clean is None:
        return _sampled(class_map, rows, columns)
    counts = value_counts(class_map) if counts is None else counts.copy()
    counts[[clean, IGNORE_INDEX]] = 0
    present = sorted(np.flatnonzero(counts).tolist(), key=lambda i: int(counts[i]))[::-1]
    if (height, width) == class_map.shape:
        return _widened_in_strips(class_map, present, clean)
    small = _sampled(class_map, rows, columns)
    ranks = np.zeros(256, np.uint8)
    ranks[present] = np.arange(1, len(present) + 1)
    highest = _highest(ranks, class_map, small)
    for rank, class_id in enumerate(present, 1):
        drawn = (small == class_id).astype(np.uint8)
        lost = (highest == rank) & (cv2.dilate(_thick(drawn), _AROUND) == 0) & (small == clean)
        _widen(small, drawn | lost, class_id, clean)
    return small


def _sampled(
    class_map: np.ndarray, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.uint8]:
    """Returns the pixels of some rows and columns."""
    return np.stack([class_map[row][columns] for row in rows])


def _widened_in_strips(
    class_map: np.ndarray, present: Sequence[int], clean: int
) -> NDArray[np.uint8]:
    """Returns a map of the same size, made in strips that fit into the processor's cache."""
    result = np.empty(class_map.shape, np.uint8)
    for rows in strips(len(class_map), class_map.shape[1], _WIDENED):
        above = min(rows.start, _REACH)
        part = np.array(class_map[rows.start - above : rows.stop + _REACH])
        found = value_counts(part)
        for class_id in present:
            if found[class_id]:
                _widen(part, (part == class_id).astype(np.uint8), class_id, clean)
        result[rows] = part[above : above + rows.stop - rows.start]
    return result


def _widen(
    class_map: NDArray[np.uint8], drawn: NDArray[np.uint8], class_id: int, clean: int
) -> None:
    """Draws a class, 0 or 1 at each pixel, two pixels wide and over Clean only."""
    thin = drawn & ~_thick(drawn)
    drawn |= cv2.dilate(thin, _PAIR, anchor=(1, 1))
    class_map[(drawn > 0) & (class_map == clean)] = class_id


def _thick(drawn: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns the part, 0 or 1, that squares of two pixels fit into."""
    corners = cv2.erode(drawn, _PAIR, anchor=(0, 0), borderValue=0)
    thick: NDArray[np.uint8] = cv2.dilate(corners, _PAIR, anchor=(1, 1)).astype(np.uint8)
    return thick


def _highest(ranks: np.ndarray, class_map: np.ndarray, small: np.ndarray) -> NDArray[np.uint8]:
    """Returns the highest rank in the part of a map that each pixel of a smaller one stands for."""
    starts = [
        np.arange(n) * side // n for n, side in zip(small.shape, class_map.shape, strict=True)
    ]
    ends = np.append(starts[0][1:], len(class_map))
    result = np.empty(small.shape, np.uint8)
    step = max(1, _STRIP * len(small) // class_map.size)
    for first in range(0, len(small), step):
        last = min(first + step, len(small))
        top = starts[0][first]
        part = ranks[class_map[top : ends[last - 1]]]
        by_row = np.maximum.reduceat(part, starts[0][first:last] - top, axis=0)
        result[first:last] = np.maximum.reduceat(by_row, starts[1], axis=1)
    return result
