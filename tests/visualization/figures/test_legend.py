"""Legends and scale bars."""

import numpy as np
import pytest

from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.visualization.figures.legend import Ruler, legend_strip, letter_size

ENTRIES = list(zip(ARTEFACT.names[1:], ARTEFACT.colors[1:], strict=True))


@pytest.mark.parametrize(
    ("ruler", "edge", "longest", "length", "label"),
    [
        (Ruler(6000, 0.05), 6000, 1500, 1000, "5 cm"),
        (Ruler(6000, 0.05), 800, 200, 133, "5 cm"),
        (Ruler(6000, 0.001), 800, 200, 133, "1 mm"),
        (Ruler(6000, 2.0), 800, 200, 133, "2 m"),
        (Ruler(6000, 0.00002), 800, 200, 133, "0.02 mm"),
        (Ruler(6000), 800, 200, 133, "1000 px"),
        (Ruler(64), 64, 0.3, 1, "1 px"),
        (Ruler(64), 64, 26, 20, "20 px"),
    ],
)
def test_a_bar_is_as_long_as_it_says(ruler, edge, longest, length, label):
    assert ruler.bar(edge, longest) == (length, label)


@pytest.mark.parametrize("mm_per_pixel", [None, 0.013, 7.0])
def test_a_bar_is_never_longer_than_allowed_and_never_tiny(mm_per_pixel):
    for longest in range(20, 2000, 37):
        length, _ = Ruler(4000, mm_per_pixel).bar(1000, longest)
        assert 0.39 * longest <= length <= longest + 1


@pytest.mark.parametrize("width", [160, 640, 4000])
def test_every_color_is_in_the_strip_whatever_its_width(width):
    strip = legend_strip(width, ENTRIES, letter_size(width, width), (50, "1 cm"))
    assert strip.shape[1] == width
    for _, color in ENTRIES:
        assert (strip == np.array(color)).all(axis=2).sum() >= 64


def test_letters_grow_with_the_picture_within_limits():
    sizes = [letter_size(edge, edge // 2) for edge in (50, 800, 2000, 6000, 50_000)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (11, 64)
