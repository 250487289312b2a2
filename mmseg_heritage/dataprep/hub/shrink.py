"""Making photographs and masks smaller without losing the small classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmseg_heritage.images.masks import class_pixels
from mmseg_heritage.taxonomy import ARTEFACT

SMALL_SHARE = 0.01
"""A class that covers less than this share of a mask is kept by area, not by chance."""


@dataclass(frozen=True)
class ClassLoss:
    """What making masks smaller did to one class.

    Attributes:
        name: Of the class.
        images: Masks that have it before.
        lost_in: Masks that do not have it afterwards.
        expected: Pixels after scaling if it kept its share of the area in each mask.
        kept: Pixels that it has.
    """

    name: str
    images: int
    lost_in: int
    expected: int
    kept: int


def shrunk_size(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """Returns (width, height) with the long side at most ``max_side``, never enlarged."""
    long_side = max(size)
    if max_side is None or long_side <= max_side:
        return size
    width, height = (max(1, round(side * max_side / long_side)) for side in size)
    return width, height


def shrink_image(image: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Resamples an RGB photograph, uint8 (H, W, 3), to (width, height)."""
    return Image.fromarray(image).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def shrink_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resamples a mask by nearest neighbor, and gives small classes their share back.

    Nearest neighbor keeps one pixel of each cell, so that hairs, dust and cracks fade or vanish by
    chance. Each class below :data:`SMALL_SHARE` is therefore given the cells of which it covers
    most, until it has the area that it had, and one cell at least; the smallest class comes last
    and so wins where two want one cell. 255 is no class and is not added to.

    Args:
        mask: uint8 (H, W), class ids 0..15 or 255.
        size: (width, height), not larger than the mask.

    Returns:
        uint8 (height, width).
    """
    width, height = size
    shrunk = np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    counts = class_pixels(mask)[:-1]
    expected = expected_pixels(counts, mask.size, shrunk.size)
    small = np.flatnonzero((counts > 0) & (counts < SMALL_SHARE * mask.size))
    for class_id in sorted(small.tolist(), key=lambda i: (-counts[i], i)):
        wanted = expected[class_id] - np.count_nonzero(shrunk == class_id)
        if wanted <= 0:
            continue
        rows, columns = np.nonzero(mask == class_id)
        cells = rows * height // mask.shape[0] * width + columns * width // mask.shape[1]
        covered, pixels = np.unique(cells, return_counts=True)
        is_free = shrunk.flat[covered] != class_id
        covered, pixels = covered[is_free], pixels[is_free]
        best = np.argsort(-pixels, kind="stable")[:wanted]
        shrunk.flat[covered[best]] = class_id
    return shrunk


def expected_pixels(
    counts: NDArray[np.int64], pixels_before: int, pixels_after: int
) -> NDArray[np.int64]:
    """Returns how many pixels each class has after scaling if it keeps its share of the area.

    Args:
        counts: int64, pixels of each class before.
        pixels_before: Pixels of the mask before.
        pixels_after: Pixels of the mask after.

    Returns:
        int64 of the same shape; at least 1 where a class has pixels.
    """
    scaled = np.round(counts * (pixels_after / pixels_before)).astype(np.int64)
    return np.maximum(scaled, (counts > 0).astype(np.int64))


def class_losses(
    masks: Sequence[tuple[Sequence[int] | None, Sequence[int] | None]],
) -> list[ClassLoss]:
    """Sums what making masks smaller did to each class that occurs.

    Args:
        masks: (expected, kept) pixels of the 16 classes in each mask; None where it is not known.

    Returns:
        In order of class id.
    """
    known = [(expected, kept) for expected, kept in masks if expected and kept]
    expected, kept = (
        np.array(known, dtype=np.int64).reshape(-1, 2, len(ARTEFACT.ids)).swapaxes(0, 1)
    )
    return [
        ClassLoss(
            name=ARTEFACT.names[class_id],
            images=int(np.count_nonzero(wanted)),
            lost_in=int(np.count_nonzero((wanted > 0) & (found == 0))),
            expected=int(wanted.sum()),
            kept=int(found.sum()),
        )
        for class_id, (wanted, found) in enumerate(zip(expected.T, kept.T, strict=True))
        if wanted.any()
    ]
