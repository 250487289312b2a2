"""Component counts against a flood fill in plain Python."""

import numpy as np
import pytest

from mmseg_heritage.evaluation.counts import components
from mmseg_heritage.evaluation.counts.components import SIZE_EDGES, component_counts

EDGES = (1, 3, 8, 1 << 40)


def _flood(ids, index):
    """Lists the components of a class, each as a list of pixels."""
    left = {tuple(p) for p in np.argwhere(ids == index).tolist()}
    found = []
    while left:
        queue = [left.pop()]
        for y, x in queue:
            around = {(y + v, x + u) for v in (-1, 0, 1) for u in (-1, 0, 1)} & left
            left -= around
            queue += around
        found.append(queue)
    return found


def _expected(label, prediction, classes):
    counts = np.zeros((classes, 3, 2), dtype=int)
    for index in range(classes):
        for pixels in _flood(label, index):
            size = len(pixels)
            position = 0 if size < 3 else 1 if size < 8 else 2
            right = sum(prediction[p] == index for p in pixels)
            counts[index, position] += (1, 2 * right >= size)
    return counts


@pytest.mark.parametrize("strip", [1, 60, 1 << 22])
@pytest.mark.parametrize("seed", range(5))
def test_counts_equal_a_flood_fill(seed, strip, monkeypatch):
    monkeypatch.setattr(components, "_STRIP", strip)  # one row, a few rows, the whole map
    generator = np.random.default_rng(seed)
    label = generator.choice([0, 1, 2, 255], (26, 19), p=[0.45, 0.25, 0.2, 0.1]).astype(np.uint8)
    prediction = np.where(generator.random(label.shape) < 0.5, label, 1) % 3
    found = component_counts(label, prediction, 4, EDGES)
    assert found.tolist() == _expected(label, prediction, 4).tolist()
    assert 0 < found[..., 1].sum() < found[..., 0].sum()


@pytest.mark.parametrize("strip", [1, 40])
def test_a_spiral_that_crosses_many_seams_is_one_component(strip, monkeypatch):
    monkeypatch.setattr(components, "_STRIP", strip)
    label = np.zeros((21, 21), dtype=np.uint8)
    for ring in range(0, 10, 2):  # rings that a spoke joins
        label[ring, ring : 21 - ring] = label[20 - ring, ring : 21 - ring] = 1
        label[ring : 21 - ring, ring] = label[ring : 21 - ring, 20 - ring] = 1
    label[10, :10] = 1
    found = component_counts(label, label, 2, EDGES)
    assert found[1].tolist() == [[0, 0], [0, 0], [1, 1]]


def test_half_of_the_pixels_are_enough_and_the_limits_are_closed_below():
    label = np.zeros((200, 200), dtype=np.uint8)
    label[:10, :10] = 1  # 100 pixels: small, no longer tiny
    label[50:100, 50:100] = 1
    prediction = np.zeros_like(label)
    prediction[:5, :10] = 1  # exactly half
    prediction[50:75, 50:99] = 1
    found = component_counts(label, prediction, 2)
    assert len(SIZE_EDGES) == 5
    assert found[1].tolist() == [[0, 0], [1, 1], [1, 0], [0, 0]]
