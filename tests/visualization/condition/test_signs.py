"""Hatches and symbols: drawn where the class is, each different from the others."""

import numpy as np
import pytest

from mmseg_heritage.visualization.condition.legend_file import HATCHES, SYMBOLS, Sign
from mmseg_heritage.visualization.condition.signs import draw_signs, hatched, swatch


def test_each_looks_different():
    signs = [Sign("a", (200, 0, 0), hatch) for hatch in ("", *HATCHES)]
    signs += [Sign("a", (200, 0, 0), symbol=symbol) for symbol in SYMBOLS]
    assert len({swatch(sign).tobytes() for sign in signs}) == 1 + len(HATCHES) + len(SYMBOLS)


@pytest.mark.parametrize("hatch", HATCHES)
def test_a_hatch_covers_a_part(hatch):
    found = hatched((60, 80), hatch, 10)
    assert found.shape == (60, 80)
    assert 0.02 < found.mean() < 0.5


def test_what_is_no_damage_is_untouched():
    image = np.full((100, 100, 3), 120, np.uint8)
    class_map = np.zeros((100, 100), np.uint8)
    class_map[10:50, 20:60], class_map[80:, :] = 1, 255
    signs = [Sign("Clean", (0, 0, 0), "grid"), Sign("Peel", (200, 0, 0), "crossed", "circle")]
    draw_signs(image, class_map, signs, 0, {1: [(20, 10, 40, 40), (70, 60, 5, 5)]})
    assert (image[55:75] == 120).all()
    assert (image[:, 65:] == 120).all()
    assert (image[28:32, 38:42] == (200, 0, 0)).all()
