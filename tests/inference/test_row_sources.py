"""A photograph whose rows are read one after the other is cut and resized like one in memory."""

import numpy as np
import pytest
import torch

from mmseg_heritage.inference.row_sources import ResizedRows, RowsSource
from mmseg_heritage.inference.sources import PhotographSource
from mmseg_heritage.inference.window_inference import WindowInference


class Rows:
    """Rows of an array; counts those that are read."""

    def __init__(self, pixels):
        self.pixels, self.shape, self.read = pixels, pixels.shape[:2], 0

    def rows(self, start, stop):
        self.read += stop - start
        return self.pixels[start:stop]

    def again(self):
        return Rows(self.pixels)


def noise(size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.mark.parametrize("window", [1, 5, 64, 200])
def test_cuts_are_those_of_the_photograph_and_each_row_is_read_once(window):
    image = Rows(noise((130, 90)))
    source, whole = RowsSource(image), PhotographSource(image.pixels)
    assert source.shape == whole.shape
    for top in range(0, 130, max(window // 2, 1)):
        for left in (0, 30, 80):
            part = (slice(top, top + window), slice(left, left + window))
            assert np.array_equal(source.cut(*part), whole.cut(*part))
    assert image.read == 130


def test_rows_that_no_window_needs_are_not_read():
    image = Rows(noise((1000, 4)))
    assert RowsSource(image).cut(slice(900, 950), slice(0, 4)).shape == (3, 50, 4)
    assert image.read == 50


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((300, 400), (100, 133)),
        ((301, 403), (77, 103)),
        ((301, 403), (300, 402)),
        ((50, 60), (75, 90)),
        ((40, 500), (1, 1)),
        ((3000, 40), (1024, 14)),
    ],
)
@pytest.mark.parametrize("step", [1, 13, 5000])
def test_resizing_in_parts_is_opencvs(old, new, step):
    """OpenCV rounds halves, and in between when it enlarges: one level of 255 may differ."""
    image = Rows(noise(old))
    rows = ResizedRows(image, new)
    found = np.concatenate([rows.rows(i, min(i + step, new[0])) for i in range(0, new[0], step)])
    expected = PhotographSource(image.pixels).resized(new).cut(slice(None), slice(None))
    expected = expected.transpose(1, 2, 0)[..., ::-1]
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < (0.2 if new > old else 0.001)


@pytest.mark.parametrize("new", [(2999, 70), (1000, 23), (33, 1), (4500, 105)])
@pytest.mark.parametrize("first", [1, 29, 32])
def test_resized_rows_are_the_same_wherever_one_begins(new, first):
    image = Rows(noise((3000, 70)))
    whole = ResizedRows(image, new).rows(0, new[0])
    assert np.array_equal(ResizedRows(image, new).rows(first, new[0]), whole[first:])


@pytest.mark.parametrize("settings", [{}, {"scales": ["native", "fit:100"]}], ids=str)
@pytest.mark.parametrize("cell", [1, 4, 32])
@pytest.mark.parametrize("first", [0, 1, 255, 400, 599])
def test_maps_from_any_row_on_are_the_lower_part_of_the_map(color_segmentor, settings, cell, first):
    image = Rows(noise((600, 170)))
    engine = WindowInference(crop=96, overlap=0.5, confidence=True, **settings)
    model = color_segmentor(cell)
    whole = engine(model, PhotographSource(image.pixels))
    bands = engine.bands(model, RowsSource(image), image.shape, first=first)
    for rows, part in bands:
        assert rows.start == first
        first = rows.stop
        assert torch.equal(part.ids["fine"], whole.ids["fine"][rows]) or "scales" in settings
        wrong = part.ids["fine"] != whole.ids["fine"][rows]
        assert wrong.float().mean() < 0.01  # a level of 255 between the ways to resize
        assert part.confidence.shape == part.ids["fine"].shape
    assert first == 600
