"""Names, numbers and colors of figures."""

import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.visualization.figures.style import (
    PERCENT,
    file_name,
    hex_color,
    ink_on,
    new_figure,
    save_figure,
    short_number,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (999, "999"), (1234, "1.23 k"), (10**6, "1 M"), (3 * 10**9, "3 G")],
)
def test_counts_are_short(value, text):
    assert short_number(value) == text


def test_names_of_files():
    assert file_name("Burn marks") == "burn_marks"
    assert file_name("../x") == "x"
    assert file_name("??") == "unnamed"


def test_colors_as_hex():
    assert hex_color((255, 0, 16)) == "#ff0010"


def _luminance(color):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("percent", [0, 20, 40, 49, 50, 51, 75, 100])
def test_numbers_stand_out_from_their_fields(percent):
    """Contrast as in WCAG 2.1; 3 is its limit for large and bold text, met by every field."""
    field = _luminance(PERCENT(percent / 100)[:3])
    ink = 1.0 if ink_on(percent) == "white" else 0.0
    assert (max(field, ink) + 0.05) / (min(field, ink) + 0.05) > 3


def test_a_figure_that_cannot_be_saved_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="nonsense"):
        save_figure(new_figure(2, 2), tmp_path / "figure.nonsense")
    assert not list(tmp_path.iterdir())
    save_figure(new_figure(2, 2), tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert image.size == (240, 240)
