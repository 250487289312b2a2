"""How well the outlines of a class are met: boundary pixels within a tolerance.

After the boundary F1 of Csurka, Larlus and Perronnin, "What is a good evaluation measure for
semantic segmentation?", BMVC 2013, with their tolerance of 0.75 % of the image's diagonal. They
average over images; here pixels are counted, so that every average can be taken later. Needs numpy
only.
"""

from __future__ import annotations

import math

import numpy as np

from mmseg_heritage.taxonomy import IGNORE_INDEX

TOLERANCE = 0.0075
"""Of the image's diagonal."""

_STRIP = 1 << 22  # pixels that are looked at in one go, besides their surroundings


def tolerance_pixels(shape: tuple[int, int], share: float = TOLERANCE) -> int:
    """Returns the tolerance in whole pixels, at least 1, for an image of shape (H, W)."""
    return max(1, round(share * float(np.hypot(*shape))))


def boundary_counts(
    label: np.ndarray, prediction: np.ndarray, num_classes: int, tolerance: int
) -> np.ndarray:
    """Counts the boundary pixels of each class, and those within the tolerance of the other map.

    A boundary pixel of a class has one of its four neighbors in another class. Nothing is known of
    what lies beyond the image and in regions labeled 255: such neighbors make no boundary, and
    pixels labeled 255, and those with a neighbor labeled 255, are none, in either map. A
    boundary pixel is matched if the Euclidean distance from its center to that of a boundary pixel
    of the same class in the other map is at most the tolerance.

    Memory does not grow with the height of the image: it is read in strips of rows with their
    surroundings.

    Args:
        label: Class ids in 0..num_classes-1 or 255, (H, W).
        prediction: Class ids in 0..num_classes-1, (H, W).
        num_classes: Number of classes C.
        tolerance: Whole pixels, at least 1.

    Returns:
        int64 (C, 4): predicted boundary pixels, of these matched, true boundary pixels, of these
        matched.
    """
    counts = np.zeros((num_classes, 4), dtype=np.int64)
    height, width = label.shape
    rows = max(_STRIP // max(width, 1), tolerance)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        # Distances reach as far as the tolerance, and a boundary is known by the pixel beyond it.
        low, high = max(start - tolerance - 1, 0), min(stop + tolerance + 1, height)
        true = label[low:high]
        predicted = np.where(true == IGNORE_INDEX, IGNORE_INDEX, prediction[low:high])
        grid = _Grid(high - low, width, tolerance)
        maps = [_classes_at_edges(predicted), _classes_at_edges(true)]
        places = [grid.places(edges) for edges in maps]
        for column, (one, other) in enumerate((places, places[::-1])):
            here = one[grid.is_in_rows(one, start - low, stop - low)]
            near = here[grid.is_near(here, other)]
            counts[:, 2 * column] += np.bincount(grid.class_of(here), minlength=num_classes)
            counts[:, 2 * column + 1] += np.bincount(grid.class_of(near), minlength=num_classes)
    return counts


def _classes_at_edges(ids: np.ndarray) -> np.ndarray:
    """Returns a map of the classes at boundary pixels, and 255 elsewhere."""
    edge = np.zeros(ids.shape, dtype=bool)
    beside_ignored = ids == IGNORE_INDEX
    ignored = beside_ignored.copy()
    for one, other in (
        (np.s_[1:], np.s_[:-1]),
        (np.s_[:-1], np.s_[1:]),
        (np.s_[:, 1:], np.s_[:, :-1]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        edge[one] |= ids[one] != ids[other]
        beside_ignored[one] |= ignored[other]
    return np.where(edge & ~beside_ignored, ids, IGNORE_INDEX)


class _Grid:
    """Numbers the pixels of each class of a map, so that neighbors are found by a binary search.

    Around the map of each class the numbers leave room for the tolerance: a step from a pixel by at
    most that never arrives at a pixel of another row's end or of another class.
    """

    def __init__(self, height: int, width: int, tolerance: int) -> None:
        self.tolerance = tolerance
        self.stride = width + 2 * tolerance
        self.rows = height + 2 * tolerance

    def places(self, classes: np.ndarray) -> np.ndarray:
        """Returns the rising numbers of all pixels with a class, int64, from a map (H, W)."""
        y, x = np.nonzero(classes != IGNORE_INDEX)
        row = classes[y, x].astype(np.int64) * self.rows + y + self.tolerance
        return np.sort(row * self.stride + x + self.tolerance)

    def class_of(self, places: np.ndarray) -> np.ndarray:
        """Returns the class ids of pixels."""
        return places // (self.rows * self.stride)

    def is_in_rows(self, places: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Returns which pixels are in some rows of the map."""
        y = places // self.stride % self.rows - self.tolerance
        return (y >= start) & (y < stop)

    def is_near(self, places: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Returns which pixels have another one of their class within the tolerance."""
        near = np.zeros(len(places), dtype=bool)
        if not len(others):
            return near
        left = np.arange(len(places))
        for step in sorted(range(-self.tolerance, self.tolerance + 1), key=abs):
            reach = math.isqrt(self.tolerance**2 - step**2)
            middle = places[left] + step * self.stride
            following = np.searchsorted(others, middle - reach)
            found = others[np.minimum(following, len(others) - 1)]
            hit = (following < len(others)) & (found <= middle + reach)
            near[left[hit]] = True
            left = left[~hit]
            if not len(left):  # most outlines are met after a few steps
                break
        return near


def boundary_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Derives the scores of each class's boundary.

    Precision P is the share of predicted boundary pixels that are matched, recall R that of true
    ones, and F1 = 2 P R / (P + R). A class that has a boundary in one map only scores 0; one
    without any is NaN.

    Args:
        counts: Numbers (..., C, 4), as :func:`boundary_counts` returns them.

    Returns:
        'precision', 'recall', 'f1': float64 (..., C) in 0..1 or NaN.
    """
    precision, recall, f1 = matched_scores(counts)
    return {"precision": precision, "recall": recall, "f1": f1}


def matched_scores(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns precision, recall and their harmonic mean of what is matched in two maps.

    Args:
        counts: Numbers (..., 4): predicted ones, of these matched, true ones, of these matched.

    Returns:
        Three times float64 (...) in 0..1: 0 where only one map has any, NaN where none has.
    """
    predicted, right, true, found = np.moveaxis(counts, -1, 0)
    precision, recall = right / np.maximum(predicted, 1), found / np.maximum(true, 1)
    total = precision + recall
    mean = 2 * precision * recall / np.where(total > 0, total, 1)
    absent = (predicted == 0) & (true == 0)
    precision, recall, mean = (
        np.where(absent, np.nan, values) for values in (precision, recall, mean)
    )
    return precision, recall, mean
