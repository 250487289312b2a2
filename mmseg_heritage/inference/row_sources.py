"""Images that are cut into windows and resized while their rows are read one after the other."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
import torch
from torch import Tensor

from mmseg_heritage.datasets.transforms.geometry import interpolation

# Rows of a result that are made at a time, each of which costs as many products as there are; fewer
# where these need more pixels of the image than that.
_ROWS, _PIXELS = 16, 1 << 22


class ImageRows(Protocol):
    """A photograph that is read a few rows at a time."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Returns rows, uint8 (stop - start, W, 3), RGB."""


class RowsSource:
    """A photograph of which only the rows are held that windows need.

    Windows are cut from the top to the bottom. The channels are those that mmcv's pipelines give:
    blue, green, red.

    Args:
        image: The photograph.
    """

    def __init__(self, image: ImageRows) -> None:
        self._image = image
        self.shape: tuple[int, int, int] = (3, *image.shape)
        self._first = 0
        self._held = np.empty((0, image.shape[1], 3), np.uint8)

    def cut(self, rows: slice, columns: slice) -> Tensor:
        """Returns a part, see :class:`~mmseg_heritage.inference.sources.PixelSource`.

        Args:
            rows: They never begin before those of an earlier call.
            columns: Any.
        """
        stop = min(rows.stop, self.shape[1])
        end = max(self._first + len(self._held), rows.start)
        if stop > end:
            held = np.empty((stop - rows.start, *self._held.shape[1:]), np.uint8)
            held[: end - rows.start] = self._held[rows.start - self._first :]
            self._first, self._held = rows.start, held  # the old ones go before more are decoded
            held[end - rows.start :] = self._image.rows(end, stop)
        part = self._held[rows.start - self._first : stop - self._first, columns, ::-1]
        return torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))

    def resized(self, size: tuple[int, int]) -> RowsSource:
        """Returns the photograph at another size, read from its first row again."""
        return RowsSource(ResizedRows(self._image, size))


class ResizedRows:
    """A photograph resized as OpenCV does it, a few rows at a time.

    Along the rows OpenCV resizes, without rounding; rows are then averaged by the same rule: by
    area when shrinking, linearly when enlarging.

    Args:
        image: The photograph.
        shape: Height and width of the result.

    Attributes:
        shape: See above.
    """

    def __init__(self, image: ImageRows, shape: tuple[int, int]) -> None:
        self._image, self.shape = image, shape

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Returns rows of the result, see :class:`ImageRows`."""
        height, width = self._image.shape
        if (height, width) == self.shape:
            return self._image.rows(start, stop)
        found = np.empty((stop - start, self.shape[1], 3), np.uint8)
        read = width * height / self.shape[0]  # pixels of the image for a row of the result
        at_a_time = min(max(int(_PIXELS / read), 1), _ROWS)
        for low in range(start, stop, at_a_time):
            high = min(low + at_a_time, stop)
            weights, first = _row_weights(height, self.shape[0], low, high)
            part = self._image.rows(first, first + weights.shape[1]).astype(np.float32)
            narrow = cv2.resize(
                part,
                (self.shape[1], len(part)),
                interpolation=interpolation(width, self.shape[1]),
            )
            averaged = weights @ narrow.reshape(len(part), -1)
            found[low - start : high - start] = np.rint(averaged).reshape(high - low, -1, 3)
        return found


def _row_weights(old: int, new: int, low: int, high: int) -> tuple[np.ndarray, int]:
    """Returns what each old row counts in the new rows from ``low`` to ``high``.

    Returns:
        float32 (high - low, n), each row of which adds up to 1, and the first of the n old rows.
    """
    ratio = old / new
    if new < old:  # the share of each old row that a new one covers
        first, last = int(low * ratio), min(int(np.ceil(high * ratio)), old)
        rows = np.arange(first, last)
        edges = np.arange(low, high + 1)[:, None] * ratio
        weights = np.minimum(edges[1:], rows + 1) - np.maximum(edges[:-1], rows)
    else:
        place = np.clip((np.arange(low, high) + 0.5) * ratio - 0.5, 0, old - 1)[:, None]
        first, last = int(place[0, 0]), min(int(place[-1, 0]) + 2, old)
        weights = 1 - np.abs(place - np.arange(first, last))
    weights = np.maximum(weights, 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32), first
