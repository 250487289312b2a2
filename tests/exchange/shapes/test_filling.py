"""Pixels within polygons: by their centers, each rule of filling, parts beyond the image."""

import matplotlib.path
import numpy as np
import pytest

from mmseg_heritage.exchange.shapes.filling import Painter, fill


def test_pixels_are_those_whose_center_is_within():
    """Against matplotlib, on random triangles none of whose edges meets a center."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:20, :30] + 0.5
    centers = np.stack([x.ravel(), y.ravel()], axis=1)
    for _ in range(50):
        ring = rng.uniform(-8, 35, (3, 2))
        expected = matplotlib.path.Path(ring).contains_points(centers).reshape(20, 30)
        assert np.array_equal(fill([ring], (20, 30)), expected)


SQUARE = np.array([[1, 1], [9, 1], [9, 9], [1, 9]], float)


@pytest.mark.parametrize(("is_nonzero", "inner"), [(False, False), (True, True)])
def test_rules_differ_on_rings_of_one_way(is_nonzero, inner):
    found = fill([SQUARE, SQUARE / 3 + 3], (10, 10), is_nonzero)
    assert found[4, 4] == inner
    assert found[1, 1]


def test_neighbors_share_no_pixel_and_leave_none():
    cut = np.array([[4.5, 0], [4.5, 10]])
    left = fill([np.array([[0, 0], *cut, [0, 10]])], (10, 10))
    right = fill([np.array([cut[0], [10, 0], [10, 10], cut[1]])], (10, 10))
    assert not (left & right).any()
    assert (left | right).all()


def test_what_is_painted_later_counts():
    painter = Painter((10, 10), 255)
    painter.paint_rings([SQUARE], 1)
    painter.paint_rings([SQUARE + 4], 2)
    assert painter.painted_over == 16
    assert painter.class_map[6, 6] == 2
    assert painter.class_map[0, 0] == 255
    painter.paint_mask(np.ones((3, 3), bool), 3, (-1, 8))
    assert painter.class_map[8:, :3].tolist() == [[3, 3, 1], [3, 3, 255]]
    painter.paint_rings([SQUARE + 100], 4)
    painter.paint_mask(np.ones((2, 2), bool), 4, (50, -50))
    assert not (painter.class_map == 4).any()
