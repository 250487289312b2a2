"""From steps of a feature map to pixels of a photograph."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmseg_heritage.scores import arrays
from mmseg_heritage.scores.arrays import Array

TILE = 256
"""Pixels of a side of what is enlarged at a time."""


class Line:
    """Where the pixels of a photograph lie between the steps of a map, along one side.

    A map with a step for every s pixels of an image has ceil(L / s) steps on a side of L pixels.
    Step i lies over the pixels from s i to s (i + 1), also where the last one reaches beyond the
    image: a map that was stretched over exactly L pixels would be shifted against the image, by up
    to s - 1 pixels at the far end.

    Args:
        pixels: Side of the photograph in pixels.
        resized: Side of the image that the network saw, which is the photograph, resized.
        cell: Pixels of that image for each step.
    """

    def __init__(self, pixels: int, resized: int, cell: int) -> None:
        self.pixels = pixels
        self.is_same = cell == 1 and pixels == resized
        steps = -(-resized // cell)
        place = (np.arange(pixels) + 0.5) * (resized / pixels / cell) - 0.5
        place = place.clip(0, steps - 1)
        self.below = place.astype(np.int64)
        self.above = (self.below + 1).clip(max=steps - 1)
        self.share = (place - self.below).astype(np.float32)

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Returns the first step, and the one after the last, that some pixels lie between."""
        if self.is_same:
            return start, stop
        return int(self.below[start]), int(self.above[stop - 1]) + 1

    def between(self, steps: Array, start: int, stop: int, dim: int) -> Any:
        """Interpolates linearly between the steps ``span(start, stop)`` along a dimension."""
        if self.is_same:
            return steps
        first = self.below[start]
        below, above = (places[start:stop] - first for places in (self.below, self.above))
        return arrays.between(steps, below, above, self.share[start:stop], dim)


def enlarge(steps: Any, rows: Line, columns: Line, start: int, stop: int) -> Any:
    """Interpolates linearly between the steps of a map.

    Args:
        steps: (C, h, w) values of the rows ``rows.span(start, stop)``, from the first column on.
        rows: Of the vertical side.
        columns: Of the horizontal side.
        start: First row of pixels.
        stop: Row of pixels after the last one.

    Returns:
        (C, stop - start, W).
    """
    steps = steps[..., : columns.span(0, columns.pixels)[1]]
    return rows.between(columns.between(steps, 0, columns.pixels, 2), start, stop, 1)


def enlarged_largest(steps: Any, rows: Line, columns: Line, start: int, stop: int) -> Any:
    """Returns the channel that is the largest at each pixel, uint8 (stop - start, W).

    That is :func:`~mmseg_heritage.scores.arrays.largest` of :func:`enlarge`, most
    of which is never computed: what is interpolated lies between the values of its steps, so that
    in a tile no channel is the largest whose highest value there is below the lowest of another.

    Args:
        steps: As for :func:`enlarge`.
        rows: As for :func:`enlarge`.
        columns: As for :func:`enlarge`.
        start: As for :func:`enlarge`.
        stop: As for :func:`enlarge`.
    """
    ids = arrays.like(np.empty((stop - start, columns.pixels), np.uint8), steps)
    for left in range(0, columns.pixels, TILE):
        right = min(left + TILE, columns.pixels)
        tile = steps[..., slice(*columns.span(left, right))]
        lowest, highest = arrays.ranges(tile)
        candidates = np.flatnonzero(highest >= lowest.max())
        if len(candidates) == 1:
            ids[:, left:right] = int(candidates[0])
            continue
        values = columns.between(tile[arrays.like(candidates, tile)], left, right, 2)
        chosen = arrays.largest(rows.between(values, start, stop, 1))
        ids[:, left:right] = arrays.looked_up(candidates.astype(np.uint8), chosen)
    return ids
