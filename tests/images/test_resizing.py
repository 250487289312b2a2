"""Parts of a photograph at a small size: as OpenCV averages the whole, whatever the bands."""

import cv2
import numpy as np
import pytest

from mmseg_heritage.images.resizing import fitted_size, shrunk_parts


@pytest.mark.parametrize("rows", [1, 7, 64, 500])
def test_bands_do_not_matter(rows):
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    boxes = [(0, 0, 300, 200), (17, 33, 90, 61), (299, 199, 1, 1), (0, 100, 300, 2)]
    bands = [image[top : top + rows] for top in range(0, 200, rows)]
    parts = shrunk_parts(bands, boxes, [60, 200, 50, 50])
    assert np.abs(parts[0].astype(int) - cv2.resize(image, (60, 40), None, 0, 0, 3)).max() <= 1
    assert np.array_equal(parts[1], image[33:94, 17:107])
    assert parts[2].shape == (1, 1, 3)
    assert parts[3].shape == (1, 50, 3)


@pytest.mark.parametrize(("size", "edge"), [((301, 203), 100), ((97, 1001), 90), ((5, 9), 100)])
def test_sizes_are_those_that_are_said(size, edge):
    image = np.full((size[1], size[0], 3), 77, np.uint8)
    (part,) = shrunk_parts([image], [(0, 0, *size)], [edge])
    assert part.shape[1::-1] == fitted_size(*size, edge)
    assert (part == 77).all()
