"""How photographs, and parts of them, are resized."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


def interpolation(old_edge: int, new_edge: int) -> int:
    """Returns OpenCV's way to resize a side from one length to another.

    Area averaging when shrinking, which keeps hair-thin damage from aliasing away.
    """
    return cv2.INTER_AREA if new_edge < old_edge else cv2.INTER_LINEAR


def shrunk_parts(
    bands: Iterable[np.ndarray], boxes: Sequence[Box], edges: Sequence[int]
) -> list[np.ndarray]:
    """Cuts parts out of a photograph, each with a long edge of at most so many pixels.

    Pixels are averaged, so that a large scan needs no more memory than its parts at their small
    size.

    Args:
        bands: Rows of the photograph from top to bottom, uint8 (rows, W, 3).
        boxes: Parts, within the photograph.
        edges: Longest side of each.

    Returns:
        uint8 (h, w, 3) for each box; its size is ``fitted_size(box, edge)``.
    """
    parts = [_Part(box, edge) for box, edge in zip(boxes, edges, strict=True)]
    top = 0
    for band in bands:
        for part in parts:
            part.add(band, top)
        top += len(band)
    return [part.finished() for part in parts]


def fitted_size(width: int, height: int, edge: int) -> tuple[int, int]:
    """Returns width and height of a picture whose long edge has at most ``edge`` pixels."""
    scale = min(edge / max(width, height), 1)
    return max(1, round(width * scale)), max(1, round(height * scale))


class _Part:
    """Sums up blocks of so many pixels that the sums are about as many as those wanted."""

    def __init__(self, box: Box, edge: int) -> None:
        self._left, self._top, self._width, self._height = box
        self._edge = edge
        self._step = max(max(self._width, self._height) // edge, 1)
        rows, columns = (-(-side // self._step) for side in (self._height, self._width))
        self._sums = np.zeros((rows, columns, 3), np.uint64)

    def add(self, band: np.ndarray, top: int) -> None:
        first, last = max(self._top, top), min(self._top + self._height, top + len(band))
        if first >= last:
            return
        part = band[first - top : last - top, self._left : self._left + self._width]
        starts = np.arange(0, self._width, self._step)
        by_row = np.add.reduceat(part, starts, axis=1, dtype=np.uint64)
        np.add.at(self._sums, (np.arange(first, last) - self._top) // self._step, by_row)

    def finished(self) -> np.ndarray:
        down, across = (
            np.minimum(np.arange(0, side, self._step) + self._step, side)
            - np.arange(0, side, self._step)
            for side in (self._height, self._width)
        )
        counts = (down[:, None] * across).astype(np.uint64)[..., None]
        mean = ((self._sums + counts // 2) // counts).astype(np.uint8)
        size = fitted_size(self._width, self._height, self._edge)
        if size == (mean.shape[1], mean.shape[0]):
            return mean
        return cv2.resize(mean, size, interpolation=cv2.INTER_AREA)
