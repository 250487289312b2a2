"""Simplified borders stay valid, within their error, and common to neighbors."""

import numpy as np
import pytest
import shapely

from mmseg_heritage.exchange.shapes.polygons import find_outlines
from mmseg_heritage.exchange.shapes.tracing import find_regions


def polygon(rings):
    return shapely.Polygon(rings[0], rings[1:])


@pytest.mark.parametrize("error", [0.5, 1.0, 3.0])
def test_borders_move_by_no_more_than_the_error(error, blobs):
    rng = np.random.default_rng(0)
    for _ in range(15):
        shape = tuple(rng.integers(1, 50, 2))
        ids = blobs(rng, shape, [0, 1, 2, 3], float(rng.uniform(0.3, 4)))
        for outline in find_outlines(ids, [0, 1, 2, 3], error):
            assert polygon(outline.rings).is_valid
            assert len(outline.rings) == len(outline.region.rings)
            assert outline.error <= error
            for ring, before in zip(outline.rings, outline.region.rings, strict=True):
                away = shapely.distance(shapely.points(before), shapely.LinearRing(ring))
                assert away.max() <= outline.error + 1e-9


def test_an_error_of_0_is_exact(blobs):
    ids = blobs(np.random.default_rng(1), (40, 30), [0, 1, 2])
    outlines = find_outlines(ids, [1, 2], 0)
    for outline, region in zip(outlines, find_regions(ids, [1, 2]), strict=True):
        assert all(map(np.array_equal, outline.rings, region.rings))
        assert outline.error == 0


def test_neighbors_keep_one_border(blobs):
    """Classes that fill the map fill it without gap and overlap after simplifying, too."""
    ids = blobs(np.random.default_rng(2), (120, 90), [0, 1, 2], 5)
    outlines = find_outlines(ids, [0, 1, 2], 1.0)
    assert {o.error for o in outlines} == {1.0}
    polygons = [polygon(o.rings) for o in outlines]
    area = sum(p.area for p in polygons)
    assert shapely.union_all(polygons).area == pytest.approx(area, abs=1e-6)
    assert area == pytest.approx(120 * 90, rel=0.01)  # the corners of the image may be cut
    corners = sum(len(ring) for o in outlines for ring in o.rings)
    assert corners < 0.5 * sum(len(ring) for o in outlines for ring in o.region.rings)


def test_a_circle_needs_few_corners():
    y, x = np.mgrid[:200, :200]
    ids = (np.hypot(x - 100, y - 100) < 80).astype(np.uint8)
    (outline,) = find_outlines(ids, [1], 1.0)
    assert len(outline.rings[0]) < 40 < len(outline.region.rings[0])
    assert polygon(outline.rings).area == pytest.approx(outline.region.area, rel=0.02)


def test_polygons_with_many_corners_get_a_larger_error_that_is_said(blobs):
    ids = blobs(np.random.default_rng(3), (300, 300), [0, 1], 3)
    outlines = find_outlines(ids, [1], 1.0, max_corners=60)
    assert max(o.error for o in outlines) > 1
    free = find_outlines(ids, [1], 1.0, max_corners=10**9)
    assert max(o.error for o in free) == 1
    size = [sum(map(len, o.rings)) for o in outlines]
    assert sum(size) < sum(sum(map(len, o.rings)) for o in free)


def test_diagonal_bands_become_straight():
    ids = np.tri(64, dtype=np.uint8)
    (outline,) = find_outlines(ids, [1], 1.0)
    assert len(outline.rings[0]) <= 4
