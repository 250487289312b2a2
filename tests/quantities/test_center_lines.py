"""Lengths, widths and directions of drawn lines, at every angle."""

import cv2
import numpy as np
import pytest

from mmseg_heritage.quantities import center_lines
from mmseg_heritage.quantities.center_lines import center_line

MARGIN = 20


def plane(side, seed):
    """Returns x and y of the pixels of a square, from its middle and a part of a pixel."""
    shift = np.random.default_rng(seed).random(2)
    y, x = np.mgrid[:side, :side] - side / 2
    return x - shift[0], y - shift[1]


def bar(degrees, length, width):
    """Returns a straight line with flat ends, counterclockwise from the right."""
    x, y = plane(length + 2 * MARGIN, degrees)
    angle = np.deg2rad(degrees)
    along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    return (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2)


def ring(radius, width):
    x, y = plane(2 * (radius + MARGIN), radius)
    return np.abs(np.hypot(x, y) - radius) <= width / 2


@pytest.mark.parametrize("width", range(3, 10))
def test_lengths_are_right_within_two_percent_at_every_angle(width):
    for degrees in range(0, 180, 7):
        found = center_line(bar(degrees, 100, width))
        assert found.length.sum() == pytest.approx(100, rel=0.02), degrees
        mean = np.average(found.width, weights=found.length)
        assert mean == pytest.approx(width, abs=0.75), degrees
        assert found.width.max() == pytest.approx(width, abs=0.75), degrees
        mean = np.angle(np.sum(found.length * np.exp(2j * found.angle))) / 2
        off = (np.rad2deg(mean) - degrees + 90) % 180 - 90
        assert abs(off) < 3, degrees


@pytest.mark.parametrize("radius", [15, 25, 50, 100])
def test_circles_are_right_within_two_percent(radius):
    for width in (3, 4, 7, 9):
        length = center_line(ring(radius, width)).length.sum()
        assert length == pytest.approx(2 * np.pi * radius, rel=0.02), width


def test_lines_that_cross_and_branch_add_up():
    x, y = plane(200, 0)
    cross = ((np.abs(x) <= 2) & (np.abs(y) <= 60)) | ((np.abs(y) <= 2) & (np.abs(x) <= 60))
    assert center_line(cross).length.sum() == pytest.approx(240, rel=0.02)
    tee = ((np.abs(x) <= 2) & (y >= 0) & (y <= 60)) | ((np.abs(y) <= 2) & (np.abs(x) <= 60))
    # The stem ends at the middle of the beam.
    assert center_line(tee).length.sum() == pytest.approx(180, rel=0.03)


def test_bumps_on_a_line_add_nothing():
    line = bar(0, 200, 9)
    for place in range(40, 180, 20):
        line[line.shape[0] // 2 - 7 : line.shape[0] // 2, place + MARGIN : place + MARGIN + 3] = (
            True
        )
    assert center_line(line).length.sum() == pytest.approx(200, rel=0.03)


def test_small_spots_are_as_long_as_they_are_wide():
    spot = np.zeros((9, 9), bool)
    spot[4, 4] = True
    found = center_line(spot)
    assert found.length.tolist() == [1]
    assert found.width.tolist() == [1]
    spot[3:6, 3:6] = True
    assert center_line(spot).length.sum() == pytest.approx(3, abs=1)
    assert len(center_line(np.zeros((5, 5), bool)).rows) == 0


def test_a_line_may_touch_the_side_and_fill_the_map():
    mask = np.zeros((9, 100), bool)
    mask[2:7] = True
    found = center_line(mask)
    assert found.length.sum() == pytest.approx(100, rel=0.02)
    assert np.median(found.width) == 5
    assert center_line(np.ones((3, 3), bool)).length.sum() > 0
    assert center_line(np.ones((1, 1), bool)).length.tolist() == [1]


def test_any_mask_gives_finite_numbers():
    rng = np.random.default_rng(0)
    for _ in range(60):
        mask = rng.random(rng.integers(1, 30, 2)) < rng.random()
        found = center_line(mask)
        assert np.isfinite(found.length).all()
        assert (found.length >= 0).all()
        assert (found.width > 0).all()
        assert ((found.angle >= 0) & (found.angle <= np.pi)).all()
        assert mask[found.rows, found.columns].all()


@pytest.mark.parametrize("spread", [1.5, 3, 12])
def test_parts_thinned_alone_are_those_of_the_whole_mask(spread, monkeypatch):
    from skimage.morphology import skeletonize

    noise = np.random.default_rng(0).random((300, 400))
    mask = cv2.GaussianBlur(noise, (0, 0), spread) < 0.49
    # A part whose box holds others, and a wide one.
    mask[40:260, 40:260] |= ring(90, 9)[:220, :220]
    y, x = np.mgrid[:300, :400]
    mask[np.hypot(y - 200, x - 330) < 60] = False
    mask[np.hypot(y - 200, x - 330) < 50] = True
    whole = skeletonize(mask, method="lee") > 0
    thinned = []
    monkeypatch.setattr(
        "skimage.morphology.skeletonize",
        lambda part, method: thinned.append(part.shape) or skeletonize(part, method=method),
    )
    assert np.array_equal(center_lines._skeleton(mask), whole)
    assert len(thinned) > 1
    assert all(height * width < mask.size for height, width in thinned[:-1])


def test_the_last_bits_of_opencv_distances_do_not_count(monkeypatch):
    mask = np.random.default_rng(0).random((60, 90)) < 0.98
    expected = center_line(mask)
    exact = center_lines.cv2.distanceTransform

    def next_number(*arguments):
        return np.nextafter(exact(*arguments), np.float32(np.inf))

    monkeypatch.setattr(center_lines.cv2, "distanceTransform", next_number)
    found = center_line(mask)
    assert np.array_equal(found.length, expected.length)
    assert np.array_equal(found.width, expected.width)
