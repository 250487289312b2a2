"""What the tests of image files share."""

import numpy as np
import pytest
from PIL import Image

# How a viewer turns the stored pixels, from the EXIF standard's "row 0 is ..., column 0 is ...".
_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.fixture
def upright():
    """A function that turns pixels as a viewer does for an EXIF orientation, 1 to 8."""
    return lambda array, orientation: _UPRIGHT[orientation](array)


@pytest.fixture
def pixels():
    """uint8 (7, 11, 3)."""
    return np.random.default_rng(0).integers(0, 256, (7, 11, 3), dtype=np.uint8)


@pytest.fixture
def saved():
    """A function that saves an array with Pillow and returns the path."""

    def save(path, array, mode=None, **options):
        image = Image.fromarray(array)
        (image if mode is None else image.convert(mode)).save(path, **options)
        return path

    return save
