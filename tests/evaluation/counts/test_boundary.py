"""Boundary counts against brute force over all pairs of pixels."""

import numpy as np
import pytest

from mmseg_heritage.evaluation.counts import boundary
from mmseg_heritage.evaluation.counts.boundary import boundary_counts, tolerance_pixels


def _blobs(seed, shape, classes=3, ignored=True):
    """Returns a label map of rectangles, with a region that is ignored."""
    generator = np.random.default_rng(seed)
    ids = np.zeros(shape, dtype=np.uint8)
    for _ in range(9):
        top, left = generator.integers(0, shape[0]), generator.integers(0, shape[1])
        height, width = generator.integers(1, 12, 2)
        ids[top : top + height, left : left + width] = generator.integers(0, classes)
    if ignored:
        ids[5:12, shape[1] // 2 : shape[1] // 2 + 9] = 255
    return ids


def _boundary(ids, index):
    """Lists the boundary pixels of a class by a plain loop."""
    found = []
    height, width = ids.shape
    for y in range(height):
        for x in range(width):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            values = [ids[v, u] for v, u in around if 0 <= v < height and 0 <= u < width]
            if ids[y, x] == index and 255 not in values and any(v != index for v in values):
                found.append((y, x))
    return np.array(found, dtype=int).reshape(-1, 2)


def _expected(label, prediction, classes, tolerance):
    prediction = np.where(label == 255, 255, prediction)
    rows = []
    for index in range(classes):
        true, predicted = _boundary(label, index), _boundary(prediction, index)
        squared = ((predicted[:, None] - true[None]) ** 2).sum(axis=2)
        near = squared <= tolerance**2
        rows.append([len(predicted), near.any(axis=1).sum(), len(true), near.any(axis=0).sum()])
    return np.array(rows)


@pytest.mark.parametrize("strip", [1, 150, 1 << 22])
@pytest.mark.parametrize("tolerance", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_counts_equal_brute_force(seed, tolerance, strip, monkeypatch):
    monkeypatch.setattr(boundary, "_STRIP", strip)  # a strip for a few rows, and one for all
    shape = (31 + seed, 24)
    label, prediction = _blobs(seed, shape), _blobs(seed + 50, shape, ignored=False)
    found = boundary_counts(label, prediction, 3, tolerance)
    expected = _expected(label, prediction, 3, tolerance)
    assert found.dtype == np.int64
    assert found.tolist() == expected.tolist()
    assert 0 < found[:, 1].sum() < found[:, 0].sum()


def test_a_shifted_outline_is_matched_within_the_tolerance_only():
    label = np.zeros((40, 40), dtype=np.uint8)
    prediction = label.copy()
    label[:, :20] = 1
    prediction[:, :23] = 1  # three pixels too far
    assert boundary_counts(label, prediction, 2, 2).tolist() == [[40, 0, 40, 0]] * 2
    assert boundary_counts(label, prediction, 2, 3).tolist() == [[40, 40, 40, 40]] * 2


def test_the_border_of_image_and_of_ignored_regions_is_no_boundary():
    label = np.full((20, 20), 255, dtype=np.uint8)
    label[4:16, 4:16] = 1  # an object on its mount, all of one class
    prediction = np.ones_like(label)
    assert not boundary_counts(label, prediction, 2, 2).any()


def test_a_class_without_pixels_and_an_empty_image_count_nothing():
    label, prediction = np.zeros((2, 9, 9), dtype=np.uint8)
    assert not boundary_counts(label, prediction, 4, 1).any()
    assert not boundary_counts(label[:0], prediction[:0], 4, 1).any()


def test_the_tolerance_grows_with_the_diagonal():
    assert tolerance_pixels((600, 800)) == 8  # 0.75 % of 1000, rounded to an even number
    assert tolerance_pixels((3, 4)) == 1
    assert tolerance_pixels((3000, 4000), 0.002) == 10
