"""Exact borders: valid by another library's judgment, and filled they give the map."""

import cv2
import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmseg_heritage.exchange.shapes.filling import Painter
from mmseg_heritage.exchange.shapes.tracing import find_regions

MAPS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
)


@settings(deadline=None, max_examples=100)
@given(MAPS)
def test_regions_are_valid_polygons_that_give_the_map_again(ids):
    regions = find_regions(ids, [0, 1, 2])
    painter = Painter(ids.shape[::-1], 99)
    for region in regions:
        polygon = shapely.Polygon(region.rings[0], region.rings[1:])
        assert polygon.is_valid
        assert polygon.area == region.area == region.mask().sum()
        assert shapely.is_ccw(polygon.exterior)  # of the numbers; y down makes it clockwise
        assert not any(shapely.is_ccw(hole) for hole in polygon.interiors)
        painter.paint_rings(region.rings, region.class_id)
    assert np.array_equal(painter.class_map, ids)
    assert painter.painted_over == 0
    count = sum(
        cv2.connectedComponents((ids == value).view(np.uint8), connectivity=4)[0] - 1
        for value in range(3)
    )
    assert len(regions) == count


def test_a_region_that_touches_itself_at_a_corner():
    ids = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], np.uint8)
    (region,) = find_regions(ids, [1])
    assert len(region.rings) == 2  # the hole touches the border at one corner
    assert shapely.Polygon(region.rings[0], region.rings[1:]).is_valid


def test_one_pixel():
    (region,) = find_regions(np.array([[0, 5]], np.uint8), [5])
    assert region.rings[0].tolist() == [[1, 0], [2, 0], [2, 1], [1, 1]]
    assert region.box == (1, 0, 2, 1)


def test_small_regions_are_left_out():
    ids = np.array([[1, 1, 0, 1]], np.uint8)
    assert [r.area for r in find_regions(ids, [1], min_area=2)] == [2]
