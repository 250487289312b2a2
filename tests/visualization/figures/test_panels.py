"""Class maps, overlays and panels."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.images.writing import write_image
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.visualization.figures.panels import overlay, panel, shrink

CLASSES, PALETTE = ARTEFACT.names, ARTEFACT.colors


def _map(height=20, width=30, seed=0):
    class_map = np.random.default_rng(seed).integers(0, 16, (height, width), dtype=np.uint8)
    class_map[:2] = 255
    return class_map


def beside(class_map):
    """Returns where damage is at most a pixel away."""
    damage = ((class_map != 0) & (class_map != 255)).astype(np.uint8)
    return cv2.dilate(damage, np.ones((3, 3), np.uint8)) > 0


def test_the_overlay_leaves_clean_and_outside_as_they_are():
    image = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    class_map = _map()
    tinted = overlay(image, class_map, PALETTE)
    untouched = (class_map == 0) | (class_map == 255)
    changed = (tinted != image).any(axis=2)
    assert (tinted[untouched & changed] == 255).all()  # the white edge
    assert not changed[untouched & ~beside(class_map)].any()
    assert (tinted[~untouched] != image[~untouched]).any(axis=1).mean() > 0.9


def test_the_overlay_tints_damage_and_outlines_it_within():
    image = np.full((9, 9, 3), 200, dtype=np.uint8)
    class_map = np.zeros((9, 9), dtype=np.uint8)
    class_map[2:7, 2:7] = 9
    tinted = overlay(image, class_map, PALETTE)
    inner = np.s_[3:6, 3:6]
    outline = class_map == 9
    outline[inner] = False
    assert (tinted[outline] == PALETTE[9]).all()
    expected = (200 + np.array(PALETTE[9])) / 2
    assert (np.abs(tinted[inner].reshape(-1, 3) - expected) <= 1).all()
    edge = beside(class_map) & (class_map == 0)
    assert (tinted[edge] == 255).all()
    assert (tinted[~edge & (class_map == 0)] == 200).all()
    assert (overlay(image, class_map, PALETTE, clean=None)[class_map == 0] < 200).any()


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_strips_leave_no_trace(rows, monkeypatch):
    image = np.random.default_rng(2).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    class_map = _map() // 6
    whole = overlay(image, class_map, PALETTE)
    monkeypatch.setattr("mmseg_heritage.visualization.figures.panels._STRIP", rows * 30)
    assert np.array_equal(overlay(image, class_map, PALETTE), whole)


def test_a_panel_names_a_class_of_one_pixel_in_a_large_map():
    class_map = np.zeros((1500, 1000), dtype=np.uint8)
    image = np.zeros((1500, 1000, 3), dtype=np.uint8)
    without = panel(image, [("Prediction", class_map)], CLASSES, PALETTE)
    class_map[3, 3] = 12
    with_sticker = panel(image, [("Prediction", class_map)], CLASSES, PALETTE)
    legend = (with_sticker == np.array(PALETTE[12])).all(axis=2).sum()
    assert legend > 50
    assert not (without == np.array(PALETTE[12])).all(axis=2).any()


@pytest.mark.parametrize("shape", [(1, 1), (3000, 10), (10, 3000), (33, 65)])
def test_panels_of_any_shape(shape, tmp_path):
    class_map = np.full(shape, 255, dtype=np.uint8)
    image = np.zeros((*shape, 3), dtype=np.uint8)
    picture = panel(image, [("Ground truth", class_map), ("b", class_map)], CLASSES, PALETTE)
    write_image(tmp_path / "panel.png", picture)
    with Image.open(tmp_path / "panel.png") as written:
        assert np.array_equal(np.asarray(written), picture)


def test_shrinking_keeps_small_arrays():
    class_map = _map(200, 100)
    assert shrink(class_map, 500) is class_map
    assert shrink(class_map, 50).shape == (50, 25)
