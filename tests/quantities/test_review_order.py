"""Regions sorted by the area in them that is expected to be wrong."""

import numpy as np
import pytest

from mmseg_heritage.quantities.measure import measure
from mmseg_heritage.quantities.review_order import (
    expected_wrong,
    look_first,
    wrong_pixels,
)

KINDS = ("area", "area")


def test_a_large_sure_region_comes_after_a_smaller_unsure_one():
    assert expected_wrong(100, 0.75) == 25
    assert expected_wrong(10, 1.0) == 0
    assert expected_wrong(100, 0.99) < expected_wrong(10, 0.2)


def test_the_regions_of_a_map_are_summed_pixel_by_pixel():
    ids = np.zeros((20, 30), np.uint8)
    ids[1:11, 1:11], ids[2:6, 20:25] = 1, 1
    sure = np.full(ids.shape, 255, np.uint8)
    sure[2:6, 20:25] = np.arange(20).reshape(4, 5)
    found = measure(ids, KINDS, None, sure, clean=0)
    expected = (1 - sure[2:6, 20:25] / 255).sum()
    assert wrong_pixels(found) == pytest.approx([0, expected])
    first, second = look_first(found, ("Clean", "Hole"))
    assert (first["region"], first["class"], first["left"], first["top"]) == (2, "Hole", 20, 2)
    assert first["expected_wrong_px"] == round(expected, 1)
    assert second["expected_wrong_px"] == 0


def test_without_confidences_there_is_no_order():
    found = measure(np.ones((4, 4), np.uint8), KINDS, clean=0)
    assert wrong_pixels(found) is None
    assert look_first(found, ("Clean", "Hole")) == []
