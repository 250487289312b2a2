"""An artwork, and the same one photographed again after damage was added, removed and has grown."""

from dataclasses import dataclass

import cv2
import numpy as np
import pytest

PEEL, CRACKS, STAINING = 2, 9, 10


@dataclass(frozen=True)
class Pair:
    """Photographs and maps of an object, earlier and later.

    Attributes:
        images: uint8 (H, W, 3) of both, and of another object.
        maps: Mask values of both, each in the frame of its photograph.
        there: Homography from BEFORE to AFTER.
    """

    images: tuple[np.ndarray, np.ndarray, np.ndarray]
    maps: tuple[np.ndarray, np.ndarray]
    there: np.ndarray


@pytest.fixture(scope="session")
def pair(artworks):
    """See :class:`Pair`; AFTER is larger, from aside, in other light, and turned by 90 degrees."""
    image, other = artworks
    height, width = image.shape[:2]
    before, after = np.zeros((2, height, width), np.uint8)
    for x, y, radii, value in (
        (60, 60, (16, 16), PEEL), (150, 60, (12, 20), PEEL), (230, 70, (20, 12), STAINING),
        (60, 150, (14, 0), STAINING), (150, 150, (0, 14), PEEL),
    ):  # fmt: skip
        for ids, radius in zip((before, after), radii, strict=True):
            if radius:
                cv2.circle(ids, (x, y), radius, value, -1)
    cv2.line(before, (40, 185), (200, 185), CRACKS, 3)
    cv2.line(after, (40, 185), (255, 185), CRACKS, 3)
    rng = np.random.default_rng(0)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moves = rng.uniform(0.0, 0.04, (4, 2)) * (width, height) * ((1, 1), (-1, 1), (-1, -1), (1, -1))
    moved = ((corners + moves) * 1.4).astype(np.float32)
    there = cv2.getPerspectiveTransform(corners, moved).astype(np.float64)
    size = (round(width * 1.4), round(height * 1.4))
    again = cv2.warpPerspective(image, there, size, flags=cv2.INTER_CUBIC, borderValue=(90, 90, 90))
    again = again * np.linspace(0.75, 1.05, size[0])[None, :, None] + rng.normal(0, 2, again.shape)
    again = np.rot90(np.clip(again, 0, 255).astype(np.uint8))
    ids = np.rot90(cv2.warpPerspective(after, there, size, flags=cv2.INTER_NEAREST))
    there = np.array([[0, 1, 0], [-1, 0, size[0] - 1], [0, 0, 1.0]]) @ there
    images = image, np.ascontiguousarray(again), other
    return Pair(images, (before, np.ascontiguousarray(ids)), there)
