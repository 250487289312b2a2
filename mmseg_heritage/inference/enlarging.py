"""From steps of a feature map to pixels of a photograph."""

from __future__ import annotations

import torch
from torch import Tensor

from mmseg_heritage.models.decode_heads.head_scores import largest

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
        place = (torch.arange(pixels, dtype=torch.float64) + 0.5) * (resized / pixels / cell) - 0.5
        place = place.clamp(0, steps - 1)
        self.below = place.long()
        self.above = (self.below + 1).clamp(max=steps - 1)
        self.share = (place - self.below).float()

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Returns the first step, and the one after the last, that some pixels lie between."""
        if self.is_same:
            return start, stop
        return int(self.below[start]), int(self.above[stop - 1]) + 1

    def between(self, steps: Tensor, start: int, stop: int, dim: int) -> Tensor:
        """Interpolates linearly between the steps ``span(start, stop)`` along a dimension."""
        if self.is_same:
            return steps
        first = int(self.below[start])
        below, above = ((t[start:stop] - first).to(steps.device) for t in (self.below, self.above))
        share = self.share[start:stop].to(steps)
        shape = [1] * steps.ndim
        shape[dim] = stop - start
        return torch.lerp(
            steps.index_select(dim, below), steps.index_select(dim, above), share.view(shape)
        )


def enlarge(steps: Tensor, rows: Line, columns: Line, start: int, stop: int) -> Tensor:
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


def enlarged_largest(steps: Tensor, rows: Line, columns: Line, start: int, stop: int) -> Tensor:
    """Returns the channel that is the largest at each pixel, uint8 (stop - start, W).

    That is :func:`~mmseg_heritage.models.decode_heads.head_scores.largest` of :func:`enlarge`, most
    of which is never computed: what is interpolated lies between the values of its steps, so that
    in a tile no channel is the largest whose highest value there is below the lowest of another.

    Args:
        steps: As for :func:`enlarge`.
        rows: As for :func:`enlarge`.
        columns: As for :func:`enlarge`.
        start: As for :func:`enlarge`.
        stop: As for :func:`enlarge`.
    """
    ids = torch.empty(stop - start, columns.pixels, dtype=torch.uint8, device=steps.device)
    for left in range(0, columns.pixels, TILE):
        right = min(left + TILE, columns.pixels)
        tile = steps[..., slice(*columns.span(left, right))]
        lowest, highest = tile.flatten(1).aminmax(dim=1)
        candidates = torch.nonzero(highest >= lowest.amax())[:, 0]
        if len(candidates) == 1:
            ids[:, left:right] = candidates
            continue
        values = columns.between(tile[candidates], left, right, 2)
        chosen = largest(rows.between(values, start, stop, 1))
        ids[:, left:right] = candidates.to(torch.uint8)[chosen.long()]
    return ids
