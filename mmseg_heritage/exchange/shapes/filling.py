"""Pixels that polygons cover, and maps that are painted with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError

_MAX_CROSSINGS = 1 << 25  # of edges and rows; the borders of 20,000 regions have a fifth of it


def fill(
    rings: Sequence[np.ndarray], shape: tuple[int, int], is_nonzero: bool = False
) -> NDArray[np.bool_]:
    """Returns the pixels whose center lies within rings.

    A center on a border belongs to what lies to the right of it, or below: of neighbors that share
    a border each pixel has exactly one. OpenCV and Pillow would fill the borders as well, and so
    give the same pixels to both. Rings along pixel edges give exactly their pixels.

    Args:
        rings: (N, 2) each, x and y of corners in the order of the border, the first not repeated.
            They may reach beyond the image.
        shape: Height and width of the image.
        is_nonzero: Whether a pixel is within where rings wind around it in sum (the fill rule
            "nonzero" of SVG); otherwise where an odd number of rings holds it ("evenodd").

    Returns:
        bool (H, W).

    Raises:
        InputError: If there are more than 33 million crossings of edges and rows.
    """
    height, width = shape
    counts = np.zeros((height, width + 1), np.int16 if is_nonzero else np.uint8)
    total = 0
    for ring in rings:
        row, x, sign = _crossings(np.asarray(ring, np.float64), height)
        total += len(row)
        if total > _MAX_CROSSINGS:
            raise InputError("a polygon has too many corners; simplify it")
        column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
        if is_nonzero:
            np.add.at(counts, (row, column), sign)
        else:
            np.bitwise_xor.at(counts, (row, column), np.uint8(1))
    add_up = np.add.accumulate if is_nonzero else np.bitwise_xor.accumulate
    add_up(counts, axis=1, out=counts)
    return counts[:, :-1] != 0


def _crossings(
    ring: NDArray[np.float64], height: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int16]]:
    """Returns where edges cross the middle of rows: row, x, and +1 on the way down, -1 up."""
    start, end = ring, np.roll(ring, -1, axis=0)
    is_down = end[:, 1] > start[:, 1]
    low = np.where(is_down[:, None], start, end)
    high = np.where(is_down[:, None], end, start)
    first, stop = (np.clip(np.ceil(p[:, 1] - 0.5), 0, height).astype(np.int64) for p in (low, high))
    number = np.maximum(stop - first, 0)
    if number.sum() > _MAX_CROSSINGS:
        raise InputError("a polygon has too many corners; simplify it")
    edge = np.repeat(np.arange(len(ring)), number)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(number) - number, number)
    rise = np.where(high[:, 1] > low[:, 1], high[:, 1] - low[:, 1], 1)
    slope = (high[:, 0] - low[:, 0]) / rise
    x = low[edge, 0] + (row + 0.5 - low[edge, 1]) * slope[edge]
    return row, x, np.where(is_down, 1, -1).astype(np.int16)[edge]


class Painter:
    """A class map that shapes are painted on, the later ones over the earlier.

    Args:
        size: (width, height) of the photograph.
        rest: Value where nothing is painted: the id of a class, or 255.

    Attributes:
        class_map: uint8 (H, W).
        painted_over: Pixels that had another class when a shape was painted over them.
    """

    def __init__(self, size: tuple[int, int], rest: int) -> None:
        width, height = size
        self.class_map = np.full((height, width), rest, np.uint8)
        self._is_painted = np.zeros((height, width), bool)
        self.painted_over = 0

    def paint_rings(
        self, rings: Sequence[np.ndarray], class_id: int, is_nonzero: bool = False
    ) -> None:
        """Paints the inside of rings, see :func:`fill`."""
        rings = [ring for ring in rings if len(ring)]
        if not rings:
            return
        corners = np.concatenate(rings)
        height, width = self.class_map.shape
        left, top = np.clip(np.floor(corners.min(axis=0)), 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, (width, height)).astype(int)
        if right <= left or bottom <= top:
            return  # beside the image
        moved = [ring - (left, top) for ring in rings]
        mask = fill(moved, (int(bottom - top), int(right - left)), is_nonzero)
        self.paint_mask(mask, class_id, (int(left), int(top)))

    def paint_mask(self, mask: np.ndarray, class_id: int, place: tuple[int, int] = (0, 0)) -> None:
        """Paints the pixels of a mask, bool (h, w), whose corner is at ``place`` (x, y).

        What lies beyond the image is left out.
        """
        height, width = self.class_map.shape
        (x, y), (h, w) = place, mask.shape
        inside = mask[max(-y, 0) : max(height - y, 0), max(-x, 0) : max(width - x, 0)]
        rows, columns = slice(max(y, 0), max(y + h, 0)), slice(max(x, 0), max(x + w, 0))
        target, painted = self.class_map[rows, columns], self._is_painted[rows, columns]
        over = inside & painted & (target != class_id)
        self.painted_over += int(np.count_nonzero(over))
        target[inside] = class_id
        painted[inside] = True
