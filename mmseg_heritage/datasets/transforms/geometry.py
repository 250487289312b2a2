"""Crops and sizes that keep small damage visible and 255 intact."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.resizing import fitted_size, interpolation
from mmseg_heritage.taxonomy import IGNORE_INDEX

Box = tuple[int, int, int]
"""A square: top, left and side in pixels."""


@TRANSFORMS.register_module()
class RandomSquareCrop(BaseTransform):
    """Cuts a square of random side at a random place and resizes it to a fixed size.

    The side is drawn uniformly between ``size`` and the image's short edge, so that a training run
    sees whole objects as well as details. This is the recipe of the ARTeFACT data set's card, with
    masks resized by nearest neighbor. Of a photograph of 4000 x 3000 px it shrinks nearly all
    crops, on average to a quarter, and with them the damage: a share ``native_prob`` of the crops
    has the side ``size`` instead, and so is not resized. Cropping comes before
    resizing: the cost does not grow with the size of the original. A crop that reaches beyond a
    short image is padded on the right and below, its mask with 255.

    Required keys: ``img`` (uint8, (H, W, 3)), ``gt_seg_map`` (uint8, (H, W)). Changed keys: both,
    and ``img_shape``.

    Args:
        size: Height and width of the result in pixels.
        max_ignore: A crop with a larger share of 255, in 0..1, is drawn again.
        max_tries: After this many draws the last one is taken.
        pad_value: Value of padded image pixels, 0..255.
        native_prob: Share of crops that are not resized, 0..1.
    """

    def __init__(
        self,
        size: int,
        max_ignore: float = 0.75,
        max_tries: int = 10,
        pad_value: int = 0,
        native_prob: float = 0.0,
    ) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"RandomSquareCrop: size must be a positive integer, found {size!r}")
        if isinstance(max_tries, bool) or not isinstance(max_tries, int) or max_tries < 1:
            raise InputError(
                f"RandomSquareCrop: max_tries must be a positive integer, found {max_tries!r}"
            )
        if not 0 <= max_ignore <= 1:
            raise InputError(f"RandomSquareCrop: max_ignore must be in 0..1, found {max_ignore!r}")
        is_number = isinstance(native_prob, (int, float)) and not isinstance(native_prob, bool)
        if not is_number or not 0 <= native_prob <= 1:
            raise InputError(
                f"RandomSquareCrop: native_prob must be in 0..1, found {native_prob!r}"
            )
        self.native_prob = native_prob
        self.size = size
        self.max_ignore = max_ignore
        self.max_tries = max_tries
        self.pad_value = pad_value

    @cache_randomness
    def _draw_box(self, mask: np.ndarray) -> Box:
        """Returns (top, left, side); the box lies inside a mask that is large enough."""
        height, width = mask.shape
        for _ in range(self.max_tries):
            side = self._draw_side(mask)
            top = int(np.random.randint(0, max(height - side, 0) + 1))
            left = int(np.random.randint(0, max(width - side, 0) + 1))
            crop = mask[top : top + side, left : left + side]
            if np.count_nonzero(crop == IGNORE_INDEX) <= self.max_ignore * crop.size:
                break
        return top, left, side

    def _draw_side(self, mask: np.ndarray) -> int:
        """Returns a side between the size of the result and the short edge."""
        if self.native_prob and np.random.rand() < self.native_prob:
            return self.size
        short = min(mask.shape)
        return int(np.random.randint(min(short, self.size), max(short, self.size) + 1))

    def _choose_box(self, results: dict[str, Any]) -> Box:
        """Returns the box to cut; other ways to choose one override this."""
        box: Box = self._draw_box(results["gt_seg_map"])
        return box

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crops and resizes image and mask alike."""
        top, left, side = box = self._choose_box(results)
        cut = results["img"][top : top + side, left : left + side]
        image = self._padded(cut, side, self.pad_value)
        if side != self.size:
            shape = (self.size, self.size)
            image = cv2.resize(image, shape, interpolation=interpolation(side, self.size))
        results["img"] = np.ascontiguousarray(image)
        results["gt_seg_map"] = self._cut_mask(results["gt_seg_map"], box)
        results["img_shape"] = image.shape[:2]
        return results

    def _cut_mask(self, mask: np.ndarray, box: Box) -> np.ndarray:
        """Returns the mask of a box at the size of the result, uint8 (size, size)."""
        top, left, side = box
        cut = self._padded(mask[top : top + side, left : left + side], side, IGNORE_INDEX)
        if side != self.size:
            # INTER_NEAREST takes the corner of each cell, which shifts the mask against the image.
            shape = (self.size, self.size)
            cut = cv2.resize(cut, shape, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.ascontiguousarray(cut)

    @staticmethod
    def _padded(array: np.ndarray, side: int, value: int) -> np.ndarray:
        """Pads the right and the bottom up to ``side``."""
        height, width = array.shape[:2]
        if (height, width) == (side, side):
            return array
        padding = [(0, side - height), (0, side - width)] + [(0, 0)] * (array.ndim - 2)
        return np.pad(array, padding, constant_values=value)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, max_ignore={self.max_ignore}, "
            f"native_prob={self.native_prob})"
        )


@TRANSFORMS.register_module()
class LimitLongEdge(BaseTransform):
    """Shrinks an image so that its long edge has at most ``max_edge`` pixels; never enlarges.

    The mask is left as it is: predictions are brought back to the original size before they are
    scored, so scores are those of original pixels.

    Required keys: ``img`` (uint8, (H, W, 3)). Changed keys: ``img``, ``img_shape``.

    Args:
        max_edge: Largest long edge in pixels.
    """

    def __init__(self, max_edge: int) -> None:
        if isinstance(max_edge, bool) or not isinstance(max_edge, int) or max_edge < 1:
            raise InputError(
                f"LimitLongEdge: max_edge must be a positive integer, found {max_edge!r}"
            )
        self.max_edge = max_edge

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resizes the image where it is too large."""
        height, width = results["img"].shape[:2]
        size = fitted_size(width, height, self.max_edge)
        if size != (width, height):
            results["img"] = cv2.resize(results["img"], size, interpolation=cv2.INTER_AREA)
            results["img_shape"] = results["img"].shape[:2]
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(max_edge={self.max_edge})"
