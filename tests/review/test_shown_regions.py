"""What the page is told of regions: their order, and borders that are nearly exact."""

import csv

import numpy as np
import pytest
from scipy import ndimage

from mmseg_heritage.errors import InputError
from mmseg_heritage.review import shown_regions as module
from mmseg_heritage.review.shown_regions import read_regions, shown_regions


@pytest.fixture
def prediction(tmp_path, predicted):
    """Table of regions and class map of a prediction of noise."""
    rng = np.random.default_rng(3)
    noise = ndimage.gaussian_filter(rng.standard_normal((150, 200)), 3)
    ids = np.where(noise > 0.03, 9, np.where(noise < -0.06, 2, 0)).astype(np.uint8)
    predicted(tmp_path / "found", "wall", ids)
    return tmp_path / "found" / "wall_regions.csv", ids


def corners(ring):
    """Returns the corners of a ring in pixels."""
    return np.cumsum(np.reshape(ring, (-1, 2)), axis=0) / 4


def area(ring):
    x, y = corners(ring).T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


@pytest.mark.parametrize("sheet", [1 << 23, 1])
def test_borders_hold_the_pixels(prediction, monkeypatch, sheet):
    monkeypatch.setattr(module, "_SHEET", sheet)
    path, ids = prediction
    rows = read_regions(path)
    value_of = {"Cracks": 9, "Peel": 2}.get
    found = list(shown_regions(rows, ids, value_of, {"Peel": 0, "Cracks": 1}))
    assert len(found) == len(rows) > 10
    for number, place, _, _, width, height, pixels, _, length, rings in found:
        assert number
        assert (length is not None) == (place == 1)
        shells_less_holes = 2 * max(map(area, rings)) - sum(map(area, rings))
        if len(rings) == 1 or pixels > 100:
            corner = np.concatenate([corners(ring) for ring in rings])
            assert (corner >= 0).all()
            assert (corner <= (width, height)).all()
        if len(rings) == 1:
            around = 2 * (width + height)
            assert abs(shells_less_holes - pixels) <= 0.75 * max(around, 8)


def test_what_is_likely_wrong_comes_first(prediction):
    rows = read_regions(prediction[0])
    wrong = [row["pixels"] * (1 - row["confidence"]) for row in rows]
    assert wrong == sorted(wrong, reverse=True)


def test_a_table_of_another_map_is_refused(prediction):
    path, ids = prediction
    with pytest.raises(InputError, match="do not belong together"):
        list(shown_regions(read_regions(path), np.roll(ids, 3), {"Cracks": 9, "Peel": 2}.get,
                           {"Peel": 0, "Cracks": 1}))  # fmt: skip


def test_no_table(tmp_path, prediction):
    path, _ = prediction
    rows = list(csv.reader(path.open()))
    rows[1][10] = "many"
    path.write_text("\n".join(",".join(row) for row in rows))
    with pytest.raises(InputError, match="expected a table of regions"):
        read_regions(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="expected the columns"):
        read_regions(path)
