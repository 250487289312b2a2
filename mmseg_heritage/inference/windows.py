"""Probabilities of an image of any size from windows of it, row by row of windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmseg_heritage.inference.sources import PixelSource
from mmseg_heritage.scores.arrays import Array, add_product, empty, like

RunWindows = Callable[[Sequence[Array], tuple[int, int]], Array]
"""Runs a network: from parts of an image (C, h, w), and the size of a window in pixels, to
probabilities (N, P, size[0] / s, size[1] / s) for a whole number s; parts may be smaller."""


def window_starts(length: int, window: int, overlap: float, unit: int) -> list[int]:
    """Returns where windows begin on a line, the last one moved inwards.

    Args:
        length: Pixels of the line, a multiple of ``unit``.
        window: Pixels of a window, a multiple of ``unit``, at most ``length``.
        overlap: Least share of a window that it has in common with the next one, from 0 to below 1.
        unit: Windows begin at multiples of it, so that each sees the steps of feature maps where
            the whole image has them.
    """
    step = max(int(window * (1 - overlap)) // unit * unit, unit)
    return [*range(0, length - window, step), length - window]


def taper(length: int) -> np.ndarray:
    """Returns the weights of a line of predictions, float32 (length,), largest in the middle.

    A Gaussian with a standard deviation of an eighth of the length, as in nnU-Net (Isensee et al.,
    Nature Methods 2021), which is nowhere 0: a pixel that only the edge of a window covers has its
    prediction.
    """
    place = np.arange(length) - (length - 1) / 2
    return np.exp(-0.5 * (place / max(length / 8, 1e-6)) ** 2).astype(np.float32)


class WindowRows:
    """Probabilities of an image, computed from the top as they are asked for.

    Windows begin at multiples of ``unit``, and the last ones may reach beyond the image, up to a
    multiple of it: what they miss there is for the network to fill up. Predictions stay at the
    resolution of the network's output, where those of overlapping windows are averaged, each
    weighted by :func:`taper`. Only the rows that are still needed are held: about as many as two
    windows are high.

    Args:
        image: The image.
        run: The network.
        window: Largest side of a window in pixels, a multiple of ``unit``; None for the whole
            image in one.
        overlap: See :func:`window_starts`.
        unit: See :func:`window_starts`.
        batch: Windows in one call of the network.
        first: Row of the image above which nothing is needed.

    Attributes:
        cell: Pixels of the image for each step of the result; known after :meth:`begin`.
    """

    def __init__(
        self,
        image: PixelSource,
        run: RunWindows,
        window: int | None,
        overlap: float,
        unit: int,
        batch: int,
        first: int = 0,
    ) -> None:
        self._image, self._run, self._batch = image, run, batch
        height, width = (-(-side // unit) * unit for side in image.shape[1:])
        self._window = (min(window or height, height), min(window or width, width))
        self._tops = window_starts(height, self._window[0], overlap, unit)
        self._lefts = window_starts(width, self._window[1], overlap, unit)
        self._width = width
        self.cell = 0
        above = [top for top in self._tops[:-1] if top + self._window[0] <= first]
        self._added = len(above)  # rows of windows
        self._first = self._needed = 0  # row of the result: the first held, the first needed
        self._held = 0  # rows of the sums that mean something; those after them are room
        self._sums: Any = None
        self._weights: Any = None

    def begin(self) -> None:
        """Runs the network for the first time."""
        self._add_row()

    def rows(self, start: int, stop: int) -> Any:
        """Returns the probabilities of some rows of the result, (P, stop - start, columns).

        Args:
            start: First row; never before that of an earlier call, nor above the windows at
                ``first``.
            stop: Row after the last one.
        """
        if not self.cell:
            self.begin()
        self._needed = start
        while self._added < len(self._tops) and self._final_rows() < stop:
            self._add_row()
        part = slice(start - self._first, stop - self._first)
        return self._sums[:, part] / self._weights[part]

    def _final_rows(self) -> int:
        """Returns the number of rows that no later window touches."""
        return self._tops[self._added] // self.cell

    def _add_row(self) -> None:
        """Adds the predictions of a row of windows."""
        top = self._tops[self._added]
        height, width = self._window
        for first in range(0, len(self._lefts), self._batch):
            lefts = self._lefts[first : first + self._batch]
            parts = [self._image.cut(slice(top, top + height), slice(x, x + width)) for x in lefts]
            found = self._run(parts, self._window)
            if not self.cell:
                self._hold(found, top)
            if first == 0:
                self._make_room(top // self.cell, found.shape[2])
            weights = self._taper
            start = top // self.cell - self._first
            rows = slice(start, start + found.shape[2])
            for x, probabilities in zip(lefts, found, strict=True):
                columns = slice(x // self.cell, x // self.cell + found.shape[3])
                add_product(self._sums[:, rows, columns], probabilities, weights)
                self._weights[rows, columns] += weights
        self._added += 1

    def _hold(self, found: Any, top: int) -> None:
        """Takes what is known only from the first result."""
        self.cell = self._window[1] // found.shape[3]
        self._first = top // self.cell
        across, down = taper(found.shape[3]), taper(found.shape[2])
        self._taper = like(down[:, None] * across, found)
        columns = self._width // self.cell
        rows = min(2 * found.shape[2], (self._tops[-1] + self._window[0]) // self.cell)
        self._sums = empty((found.shape[1], rows, columns), found)
        self._weights = empty((rows, columns), found)

    def _make_room(self, top: int, height: int) -> None:
        """Drops the rows that are not needed any more, and adds empty ones for new windows."""
        dropped = max(min(self._needed, top) - self._first, 0)
        self._first += dropped
        kept, self._held = self._held - dropped, top + height - self._first
        self._sums, self._weights = (
            _moved_up(rows, dropped, kept, self._held) for rows in (self._sums, self._weights)
        )


def _moved_up(array: Any, dropped: int, kept: int, length: int) -> Any:
    """Returns an array (..., rows, columns) whose first rows are those kept, then zeros.

    In place where there is room: for wide photographs it is most of the memory that is held.

    Args:
        array: The rows dropped, those kept, and room.
        dropped: Number of rows at the top that go.
        kept: Number of rows that come to the top.
        length: Number of rows that are kept or zero.
    """
    result = array
    if length > array.shape[-2]:
        result = empty((*array.shape[:-2], length, array.shape[-1]), array)
        result[..., :kept, :] = array[..., dropped : dropped + kept, :]
    elif dropped:
        for start in range(0, kept, dropped):  # piece by piece: none is written over itself
            stop = min(start + dropped, kept)
            result[..., start:stop, :] = array[..., start + dropped : stop + dropped, :]
    result[..., kept:length, :] = 0
    return result
