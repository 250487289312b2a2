"""Damage maps that tests write and read back."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_heritage.exchange.damage_map import DamageMap
from mmseg_heritage.exchange.shapes.polygons import find_outlines
from mmseg_heritage.taxonomy import ARTEFACT, DamageClass, own_classes

OWN = own_classes(
    [
        DamageClass(7, "Mold & salt", (0, 170, 0), "Biological"),
        DamageClass(0, "Clean", (0, 0, 0)),
        DamageClass(3, 'Grieta "fina"', (250, 250, 0)),
    ]
)
"""Ids that are neither positions nor in order, and names that must be escaped."""


def blobs(rng, shape, ids, sigma=2.0):
    """Returns a map of ragged regions with holes; the more sigma, the larger."""
    noise = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), sigma)
    ranks = noise.ravel().argsort().argsort().reshape(shape)
    return np.asarray(ids, np.uint8)[ranks * len(ids) // noise.size]


def holed_map(shape=(60, 83), ids=(255, 9, 0, 0, 4, 2), seed=0):
    """Returns a map with holes, regions in holes, and regions that touch at corners."""
    found = blobs(np.random.default_rng(seed), shape, ids)
    found[5:20, 5:20] = ids[1]
    found[8:17, 8:17] = 0
    found[10:14, 10:14] = ids[-1]
    found[20, 20], found[19, 19] = ids[1], ids[1]
    return found


@pytest.fixture
def artefact_map(tmp_path):
    """A map of ARTeFACT's classes with a photograph of its size beside it."""
    ids = holed_map()
    rng = np.random.default_rng(1)
    photograph = rng.integers(0, 256, (*ids.shape, 3), dtype=np.uint8)
    Image.fromarray(photograph).save(tmp_path / "old wall.png")
    return DamageMap("old wall", ids, ARTEFACT, "old wall.png")


@pytest.fixture
def own_map():
    """A map of own classes, with a scale and no photograph."""
    return DamageMap("plaster", holed_map(ids=(7, 0, 0, 3)), OWN, mm_per_pixel=0.25)


@pytest.fixture(name="blobs")
def _blobs():
    """The function that makes a map of ragged regions."""
    return blobs


@pytest.fixture
def outlines():
    """A function that returns the regions of a map, exact unless it is given an error."""

    def of_map(found, error=0.0):
        return find_outlines(found.class_map, [c.id for c in found.drawn], error)

    return of_map
