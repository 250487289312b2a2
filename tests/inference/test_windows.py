"""Windows cover an image at whole steps, and only the rows that are needed are held."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional

from mmseg_heritage.inference.sources import TensorSource
from mmseg_heritage.inference.windows import WindowRows, _moved_up, taper, window_starts


@pytest.mark.parametrize("length", [32, 64, 96, 320, 1024, 3200])
@pytest.mark.parametrize("window", [32, 64, 288])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.9, 0.999])
def test_windows_cover_the_line_with_the_overlap_that_was_asked_for(length, window, overlap):
    window = min(window, length)
    starts = window_starts(length, window, overlap, 32)
    assert starts[0] == 0
    assert starts[-1] == length - window
    assert all(start % 32 == 0 for start in starts)
    for one, next_one in pairwise(starts):
        assert next_one > one
        # A step of a window's grid cannot be less than one unit.
        assert one + window - next_one >= min(overlap * window, window - 32)


def test_weights_are_largest_in_the_middle_and_nowhere_zero():
    for length in (1, 2, 7, 256):
        weights = taper(length)
        assert (weights > 0).all()
        assert np.array_equal(weights, weights[::-1])
        assert weights.argmax() in (length // 2, (length - 1) // 2)


def positions(parts, size):
    """A network whose two channels say where in the image its four-pixel steps are."""
    padded = [functional.pad(p, (0, size[1] - p.shape[2], 0, size[0] - p.shape[1])) for p in parts]
    return torch.stack(padded)[..., ::4, ::4].float()


@pytest.mark.parametrize("size", [(64, 64), (100, 300), (1, 1), (320, 33), (333, 640)])
@pytest.mark.parametrize("window", [None, 32, 96, 256])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_step_lies_where_it_belongs(size, window, batch):
    y, x = torch.meshgrid(*(torch.arange(side) for side in size), indexing="ij")
    image = torch.stack([y, x]).int()
    source = WindowRows(TensorSource(image), positions, window, 0.25, 32, batch)
    steps = -(-size[0] // 4)
    for start in range(0, steps, 5):
        stop = min(start + 7, steps)
        found = source.rows(start, stop)[..., : -(-size[1] // 4)]
        torch.testing.assert_close(found, image[:, 4 * start : 4 * stop : 4, ::4].float())


@pytest.mark.parametrize("first", [0, 130, 400])
def test_rows_may_be_left_out_and_may_begin_below_the_top(first):
    """As where a killed prediction goes on."""
    image = torch.stack(torch.meshgrid(torch.arange(640), torch.arange(200), indexing="ij")).int()
    source = WindowRows(TensorSource(image), positions, 96, 0.25, 32, 2, first)
    for start in range(-(-first // 4), 160, 23):
        stop = min(start + 9, 160)
        found = source.rows(start, stop)[..., :50]
        torch.testing.assert_close(found, image[:, 4 * start : 4 * stop : 4, ::4].float())


def test_memory_is_that_of_two_windows_however_high_the_image_is():
    held = []

    class Watched(WindowRows):
        def _add_row(self):
            super()._add_row()
            held.append(self._sums.shape[1])
            assert self._held <= len(self._weights)

    image = torch.zeros(2, 6400, 64, dtype=torch.uint8)
    source = Watched(TensorSource(image), positions, 64, 0.25, 32, 1)
    for start in range(0, 1600, 8):
        source.rows(start, start + 8)
    assert len(held) > 100
    assert max(held) <= 2 * 64 / 4


@pytest.mark.parametrize("make", [np.array, torch.tensor])
@pytest.mark.parametrize(("dropped", "kept"), [(0, 4), (1, 5), (2, 5), (3, 3), (5, 1), (6, 0)])
@pytest.mark.parametrize("length", [5, 8, 11])
def test_rows_move_up_in_place_and_the_others_are_zero(make, dropped, kept, length):
    rows = np.arange(2 * 8 * 3.0).reshape(2, 8, 3)
    before = make(rows.tolist())
    found = _moved_up(before, dropped, kept, length)
    expected = np.zeros((2, length, 3))
    expected[:, :kept] = rows[:, dropped : dropped + kept]
    assert np.array_equal(np.asarray(found)[:, :length], expected)
    assert (found is before) == (length <= 8)
