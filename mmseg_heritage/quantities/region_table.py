"""The connected regions of the classes of a map, found strip by strip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.evaluation.counts.components import StripComponents

FIELDS = (
    "pixels", "left", "top", "right", "bottom", "column_sum", "row_sum", "confidence_sum",
    "length", "length_mm", "width_sum", "width_sum_mm", "largest_width", "largest_width_mm",
)  # fmt: skip
"""Columns of the numbers of regions; ``right`` and ``bottom`` are the pixel after the last one."""
_FIRST, _LAST = ("left", "top"), ("right", "bottom", "largest_width", "largest_width_mm")


@dataclass(frozen=True, eq=False)
class RegionTable:
    """Regions of a map, the largest first.

    Attributes:
        classes: Class of each, int64 (N,).
        values: Name of :data:`FIELDS` -> float64 (N,). Lengths and widths are those of pieces of
            center lines: a width sum is that of the products of width and length.
    """

    classes: NDArray[np.int64]
    values: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.classes)


class RegionStrips:
    """Collects the regions of one class while strips of the map are added from top to bottom.

    Args:
        width: Of the map.
    """

    def __init__(self, width: int) -> None:
        self._components = StripComponents(width)
        self._blocks: list[dict[str, NDArray[np.float64]]] = []

    def add(
        self, mask: np.ndarray, top: int, confidence: np.ndarray | None
    ) -> tuple[NDArray[np.int32], dict[str, NDArray[np.float64]]]:
        """Adds a strip.

        Args:
            mask: Where the class is, bool (rows, W).
            top: First row of the strip.
            confidence: In steps of 1/255, uint8 (rows, W), or None.

        Returns:
            The component of each pixel, int32 (rows, W), from 1, 0 for none; and the numbers of the
            components, of which those of center lines may be added to.
        """
        ids, statistics, centers = self._components.add(mask)
        left, first, width, height, pixels = statistics.T.astype(np.float64)
        block = {name: np.zeros(len(statistics)) for name in FIELDS}
        block["pixels"] = pixels
        block["left"], block["top"] = left, first + top
        block["right"], block["bottom"] = left + width, first + top + height
        block["column_sum"] = centers[:, 0] * pixels
        block["row_sum"] = (centers[:, 1] + top) * pixels
        if confidence is not None:
            sums = np.bincount(ids[mask], confidence[mask], len(statistics) + 1)
            block["confidence_sum"] = sums[1:] / 255
        self._blocks.append(block)
        return ids, block

    def regions(self) -> dict[str, NDArray[np.float64]]:
        """Returns the numbers of the regions, components that touch at a seam being one."""
        order, place = np.unique(self._components.roots(), return_inverse=True)
        merged = {}
        for name in FIELDS:
            values = np.concatenate([np.zeros(0), *(block[name] for block in self._blocks)])
            if name in _FIRST:
                total = np.full(len(order), np.inf)
                np.minimum.at(total, place, values)
            elif name in _LAST:
                total = np.zeros(len(order))
                np.maximum.at(total, place, values)
            else:
                total = np.bincount(place, values, len(order)).astype(np.float64)
            merged[name] = total
        return merged


def joined_table(of_classes: Mapping[int, dict[str, NDArray[np.float64]]]) -> RegionTable:
    """Returns the regions of all classes in one table, by area, then from top and left."""
    ids = [np.full(len(values["pixels"]), i) for i, values in of_classes.items()]
    classes = np.concatenate([np.zeros(0, np.int64), *ids])
    values = {
        name: np.concatenate([np.zeros(0), *(found[name] for found in of_classes.values())])
        for name in FIELDS
    }
    order = np.lexsort((classes, values["left"], values["top"], -values["pixels"]))
    return RegionTable(classes[order], {name: column[order] for name, column in values.items()})


def tiles(width: int, side: int) -> Iterator[slice]:
    """Yields the columns of the tiles of a strip."""
    for left in range(0, width, side):
        yield slice(left, min(left + side, width))
