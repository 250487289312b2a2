"""Colors in which classes are shown."""

import itertools

import numpy as np
import pytest

from mmseg_heritage.taxonomy import ARTEFACT, GROUP_COLORS
from mmseg_heritage.visualization.figures.display_colors import (
    DISPLAY_COLORS,
    contrast,
    display_palette,
)

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
# Machado, Oliveira and Fernandes, IEEE TVCG 2009, table of severity 1.0; of linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def oklab(linear):
    """Returns the place in OKLab (Ottosson 2020) of linear RGB."""
    to_lms = np.array([[0.4122214708, 0.5363325363, 0.0514459929],
                       [0.2119034982, 0.6806995451, 0.1073969566],
                       [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
    to_lab = np.array([[0.2104542553, 0.7936177850, -0.0040720468],
                       [1.9779984951, -2.4285922050, 0.4505937099],
                       [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
    return to_lab @ np.cbrt(np.clip(to_lms @ linear, 0, None))


def linear(color):
    part = np.array(color) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def test_the_contrasts_are_those_of_wcag():
    assert contrast(BLACK, WHITE) == pytest.approx(21)
    assert contrast((119, 119, 119), WHITE) == pytest.approx(4.48, abs=0.01)
    assert contrast((0, 0, 166), BLACK) == pytest.approx(1.55, abs=0.01)


def test_every_damage_class_can_be_seen_on_black_and_on_white():
    assert tuple(DISPLAY_COLORS) == ARTEFACT.names[1:]
    for color in DISPLAY_COLORS.values():
        assert contrast(color, BLACK) >= 3
        assert contrast(color, WHITE) >= 3
    # Over middle gray it is the white edge that shows.
    assert contrast((128, 128, 128), WHITE) >= 3


@pytest.mark.parametrize("vision", VISIONS)
def test_classes_are_told_apart_by_everybody(vision):
    seen = [
        oklab(np.clip(np.array(VISIONS[vision]) @ linear(color), 0, 1))
        for color in DISPLAY_COLORS.values()
    ]
    nearest = min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2))
    assert nearest >= 0.069


def test_artefact_in_its_own_colors_is_shown_in_others():
    shown = display_palette(ARTEFACT.names, ARTEFACT.colors)
    assert shown[0] == BLACK
    assert dict(zip(ARTEFACT.names[1:], shown[1:], strict=True)) == DISPLAY_COLORS


@pytest.mark.parametrize("color", [(0, 0, 166), (255, 255, 0), (10, 0, 0), WHITE, (0, 80, 60)])
def test_an_own_color_is_changed_no_more_than_needed(color):
    (shown,) = display_palette(["Mold"], [color])
    assert min(contrast(shown, BLACK), contrast(shown, WHITE)) >= 3
    assert min(contrast(shown, BLACK), contrast(shown, WHITE)) < 3.2
    order = np.argsort(color, kind="stable")
    assert all(shown[a] <= shown[b] + 1 for a, b in itertools.pairwise(order))


def test_own_colors_that_can_be_seen_stay():
    visible = [c for c in GROUP_COLORS if min(contrast(c, BLACK), contrast(c, WHITE)) >= 3.1]
    assert visible
    assert list(display_palette(list("abcdefg")[: len(visible)], visible)) == visible
