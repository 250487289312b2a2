"""How many of the damages that are there are found, by their size."""

from __future__ import annotations

import cv2
import numpy as np

SIZE_EDGES = (1, 10**2, 32**2, 96**2, np.iinfo(np.int64).max)
"""Pixels. 32 and 96 px are COCO's limits of small and medium objects (Lin et al., ECCV 2014)."""

FOUND_SHARE = 0.5
"""A component is found where at least this share of its pixels is predicted as its class."""

_STRIP = 1 << 22  # pixels whose components are labeled in one go


def component_counts(
    label: np.ndarray,
    prediction: np.ndarray,
    num_classes: int,
    edges: tuple[int, ...] = SIZE_EDGES,
) -> np.ndarray:
    """Counts the connected components of each class in the truth by size, and those found.

    Pixels of a class are connected with their eight neighbors. Memory does not grow with the
    height of the image, but with the number of components.

    Args:
        label: Class ids in 0..num_classes-1 or 255, (H, W).
        prediction: Class ids in 0..num_classes-1, (H, W).
        num_classes: Number of classes C.
        edges: Limits of the B bins of sizes in pixels, rising from 1; a bin holds its lower limit.

    Returns:
        int64 (C, B, 2): components, and how many of these were found.
    """
    counts = np.zeros((num_classes, len(edges) - 1, 2), dtype=np.int64)
    for index in range(num_classes):
        sizes, hits = _components(label, prediction, index)
        bins = np.searchsorted(edges, sizes, side="right") - 1
        np.add.at(counts[index, :, 0], bins, 1)
        np.add.at(counts[index, :, 1], bins, hits >= FOUND_SHARE * sizes)
    return counts


def _components(
    label: np.ndarray, prediction: np.ndarray, index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pixels of each component of a class, and how many are predicted as it."""
    rows = max(_STRIP // max(label.shape[1], 1), 1)
    sizes, hits = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    components = StripComponents(label.shape[1])
    for start in range(0, len(label), rows):
        mask = label[start : start + rows] == index
        ids, statistics, _ = components.add(mask)
        right = mask & (prediction[start : start + rows] == index)
        sizes.append(statistics[:, cv2.CC_STAT_AREA].astype(np.int64))
        hits.append(np.bincount(ids[right], minlength=len(statistics) + 1)[1:])
    root = components.roots()
    return (
        _sums(np.concatenate(sizes), root),
        _sums(np.concatenate(hits), root),
    )


class StripComponents:
    """Components of a mask that is labeled strip by strip, and joined where they touch at a seam.

    Args:
        width: Of the mask.

    Attributes:
        found: Number of components so far, each strip's counted for itself.
    """

    def __init__(self, width: int) -> None:
        self.found = 0
        self._links: list[np.ndarray] = []
        self._last_row = np.zeros(width, dtype=np.int64)  # component above each pixel, from 1

    def add(self, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels the next strip.

        Args:
            mask: bool (rows, W).

        Returns:
            Number of the component of each pixel within the strip, int32 (rows, W), from 1, 0 for
            none; OpenCV's statistics of each component, int32 (n, 5); and their centers of gravity,
            float64 (n, 2) as x, y.
        """
        if not mask.any():
            self._last_row = np.zeros_like(self._last_row)
            nothing = np.zeros((0, 5), np.int32), np.zeros((0, 2))
            return np.zeros(mask.shape, np.int32), *nothing
        # Most classes lie in a part of the strip only.
        columns, rows = (np.flatnonzero(mask.any(axis)) for axis in (0, 1))
        left, top = columns[0], rows[0]
        box = (slice(top, rows[-1] + 1), slice(left, columns[-1] + 1))
        number, found, statistics, centers = cv2.connectedComponentsWithStats(
            np.ascontiguousarray(mask[box]).view(np.uint8), connectivity=8
        )
        ids = np.zeros(mask.shape, np.int32)
        ids[box] = found
        statistics[:, :2] += (left, top)
        centers += (left, top)
        first_row, above = _numbered(ids[0], self.found), self._last_row
        self._links += _touching(above, first_row)
        self._last_row = _numbered(ids[-1], self.found)
        self.found += number - 1
        return ids, statistics[1:], centers[1:]

    def roots(self) -> np.ndarray:
        """Returns, for each component counted from 0, one that stands for all it is joined with."""
        return _joined(self.found, self._links)


def _numbered(row: np.ndarray, found: int) -> np.ndarray:
    """Returns the numbers of a row's components, counted from 1 over all strips; 0 for none."""
    return np.where(row > 0, row.astype(np.int64) + found, 0)


def _touching(above: np.ndarray, below: np.ndarray) -> list[np.ndarray]:
    """Returns pairs of components that touch between two rows, diagonally too."""
    width = len(above)
    pairs = [
        np.stack([above[max(shift, 0) : width + min(shift, 0)],
                  below[max(-shift, 0) : width + min(-shift, 0)]], axis=1)
        for shift in (-1, 0, 1)
    ]  # fmt: skip
    touching = np.concatenate(pairs)
    return [np.unique(touching[touching.all(axis=1)], axis=0)]


def _joined(number: int, links: list[np.ndarray]) -> np.ndarray:
    """Returns, for each component counted from 0, one that stands for all it is linked to."""
    root = list(range(number))

    def find(component: int) -> int:
        while root[component] != component:
            root[component] = root[root[component]]  # halves the path for the next search
            component = root[component]
        return component

    for pairs in links:
        for one, other in (pairs - 1).tolist():
            root[find(one)] = find(other)
    return np.array([find(component) for component in range(number)], dtype=np.int64)


def _sums(values: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Adds up values over joined components, int64 (components,)."""
    totals = np.zeros(len(values), dtype=np.int64)
    np.add.at(totals, root, values)
    return totals[np.unique(root)]
