"""Smaller masks: nearest neighbor, but small classes keep their share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmseg_heritage.dataprep.hub.shrink import (
    class_losses,
    expected_pixels,
    shrink_image,
    shrink_mask,
    shrunk_size,
)
from mmseg_heritage.images.masks import class_pixels


@given(st.integers(1, 9000), st.integers(1, 9000), st.none() | st.integers(1, 9000))
def test_sizes_keep_the_aspect_and_never_grow(width, height, max_side):
    new_width, new_height = shrunk_size((width, height), max_side)
    assert 1 <= new_width <= width
    assert 1 <= new_height <= height
    if max_side is None or max(width, height) <= max_side:
        assert (new_width, new_height) == (width, height)
    else:
        assert max(new_width, new_height) == max_side
        assert (
            abs(min(new_width, new_height) - min(width, height) * max_side / max(width, height)) < 1
        )


def nearest(mask, size):
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


@pytest.mark.parametrize("size", [(30, 20), (29, 23), (7, 3), (120, 80)])
def test_large_classes_are_nearest_neighbor(size):
    rng = np.random.default_rng(0)
    mask = np.kron(rng.choice([0, 1, 2, 255], (8, 12)), np.ones((10, 10))).astype(np.uint8)
    assert np.array_equal(shrink_mask(mask, size), nearest(mask, size))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(40, 30), (37, 31), (16, 12)]))
def test_small_classes_keep_their_share_where_they_were(seed, size):
    rng = np.random.default_rng(seed)
    mask = np.zeros((120, 160), np.uint8)
    mask[:, 100:] = 1
    mask[:20] = 255
    for class_id in rng.choice(range(2, 16), 3, replace=False):  # a hair, a speck, a scratch
        row, column = rng.integers(20, 110), rng.integers(0, 130)
        mask[row : row + rng.integers(1, 3), column : column + rng.integers(1, 30)] = class_id
    counts = class_pixels(mask)
    shrunk = shrink_mask(mask, size)
    found = class_pixels(shrunk)
    expected = expected_pixels(counts[:-1], mask.size, shrunk.size)
    assert shrunk.shape == size[::-1]
    rest = found[:-1][counts[:-1] == 0]
    assert not rest.any()
    assert found[-1] <= np.count_nonzero(nearest(mask, size) == 255)
    smallest = min(np.flatnonzero(counts[:-1]), key=lambda i: (counts[i], -i))
    assert found[smallest] >= 1  # whatever else wants its cell
    changed = shrunk != nearest(mask, size)
    for row, column in zip(*np.nonzero(changed), strict=True):
        top, bottom = row * 120 // size[1], -(-(row + 1) * 120 // size[1])
        left, right = column * 160 // size[0], -(-(column + 1) * 160 // size[0])
        assert shrunk[row, column] in mask[top:bottom, left:right]
    counts = counts[:-1]
    for class_id in np.flatnonzero((counts > 0) & (counts < 0.01 * mask.size)):
        smaller = (counts > 0) & (counts <= counts[class_id])
        smaller[class_id] = False
        assert found[class_id] >= expected[class_id] - expected[smaller].sum()


def test_the_photograph_is_averaged_not_sampled():
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = np.asarray(shrink_image(np.stack([board] * 3, -1), (16, 16)))
    assert abs(small.astype(int) - 127).max() <= 16


def test_losses_are_summed_over_masks():
    before, after = [0] * 16, [0] * 16
    before[0], after[0] = 90, 95
    before[5], after[5] = 10, 0
    kept = [0] * 16
    kept[0] = 50
    losses = class_losses([(before, after), (None, None), (kept, kept)])
    assert [(x.name, x.images, x.lost_in, x.expected, x.kept) for x in losses] == [
        ("Clean", 2, 0, 140, 145),
        ("Hair", 1, 1, 10, 0),
    ]
    assert class_losses([(None, None)]) == class_losses([]) == []
