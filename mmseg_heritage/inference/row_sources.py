"""Images that are cut into windows and resized while their rows are read one after the other."""

from __future__ import annotations

import cv2
import numpy as np

from mmseg_heritage.images.photograph_rows import RowBlocks
from mmseg_heritage.images.resizing import interpolation

# Rows of a result that are made at a time, each of which costs as many products as there are; fewer
# where these need more pixels of the image than that.
_ROWS, _PIXELS = 16, 1 << 22


class RowsSource:
    """A photograph of which only the rows are held that windows need.

    Windows are cut from the top to the bottom. The channels are those that mmcv's pipelines give:
    blue, green, red.

    Args:
        image: The photograph.
    """

    def __init__(self, image: RowBlocks) -> None:
        self._image = image
        self.shape: tuple[int, int, int] = (3, *image.shape)
        self._first = 0
        self._held = np.empty((0, image.shape[1], 3), np.uint8)

    def cut(self, rows: slice, columns: slice) -> np.ndarray:
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
        return np.ascontiguousarray(part.transpose(2, 0, 1))

    def resized(self, size: tuple[int, int]) -> RowsSource:
        """Returns the photograph at another size, read from its first row again."""
        return RowsSource(ResizedRows(self._image.again(), size))


class ResizedRows(RowBlocks):
    """A photograph resized as OpenCV does it, a few rows at a time.

    Along the rows OpenCV resizes, without rounding; rows are then averaged by the same rule: by
    area when shrinking, linearly when enlarging.

    Args:
        image: The photograph.
        shape: Height and width of the result.
    """

    def __init__(self, image: RowBlocks, shape: tuple[int, int]) -> None:
        super().__init__()
        self._image, self.shape = image, shape
        read = image.shape[0] * image.shape[1] / shape[0]  # pixels for a row of the result
        self._step = min(max(int(_PIXELS / read), 1), _ROWS)

    def again(self) -> ResizedRows:
        """See :class:`~mmseg_heritage.images.photograph_rows.RowBlocks`."""
        return ResizedRows(self._image.again(), self.shape)

    def _block_of(self, row: int) -> tuple[int, int]:
        # Wherever rows are asked for first, the sums are those of the same blocks.
        first = row // self._step * self._step
        return first, min(first + self._step, self.shape[0])

    def _made(self, start: int, stop: int) -> np.ndarray:
        (height, width), (new_height, new_width) = self._image.shape, self.shape
        if (height, width) == self.shape:
            return self._image.rows(start, stop)
        weights, first = _row_weights(height, new_height, start, stop)
        part = self._image.rows(first, first + weights.shape[1]).astype(np.float32)
        way = interpolation(width, new_width)
        narrow = cv2.resize(part, (new_width, len(part)), interpolation=way)
        averaged = weights @ narrow.reshape(len(part), -1)
        return np.rint(averaged).reshape(stop - start, new_width, 3).astype(np.uint8)


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
