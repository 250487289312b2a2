"""Crops that look for rare classes, without searching the mask each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmseg.registry import TRANSFORMS
from numpy.typing import NDArray

from mmseg_heritage.dataprep.weights.weight_formulas import class_weights, load_class_weights
from mmseg_heritage.datasets.transforms.geometry import Box, RandomSquareCrop
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import IGNORE_INDEX

MAX_PIXELS = 1024
"""Pixels remembered of each class in each mask: 8 kB, and more than a run takes crops from."""

Pixels = dict[int, NDArray[np.int32]]
"""Class id -> int32 (n, 2), row and column of some of its pixels."""


def sample_class_pixels(mask: np.ndarray, limit: int = MAX_PIXELS, seed: int = 0) -> Pixels:
    """Draws pixels of every class, each pixel of a class with the same probability.

    The mask is read once to count each class in each row, and then only in rows that hold a drawn
    pixel. Positions of all pixels are never held: those of 133 megapixels would take 2 GB.

    Args:
        mask: uint8 (H, W); 255 is no class.
        limit: Most pixels for each class. Of a class with no more than that, all are returned.
        seed: The same seed draws the same pixels.

    Returns:
        Class id -> int32 (n, 2), row and column, in order of rows; n is at most ``limit``.
    """
    generator = np.random.default_rng(seed)
    rows = _row_counts(mask)
    pixels: Pixels = {}
    for class_id in np.flatnonzero(rows.any(axis=0)):
        if class_id == IGNORE_INDEX:
            continue
        ends = np.cumsum(rows[:, class_id], dtype=np.int64)
        total = int(ends[-1])
        ranks = np.arange(min(total, limit))
        if total > limit:
            ranks = np.sort(generator.integers(0, total, limit))
        found_in = np.searchsorted(ends, ranks, side="right")
        found = np.empty((ranks.size, 2), dtype=np.int32)
        for row in np.unique(found_in):
            here = found_in == row
            columns = np.flatnonzero(mask[row] == class_id)
            found[here, 0] = row
            found[here, 1] = columns[ranks[here] - (ends[row] - columns.size)]
        pixels[int(class_id)] = found
    return pixels


def _row_counts(mask: np.ndarray) -> NDArray[np.int32]:
    """Counts each value in each row: int32 (H, 256)."""
    counts = np.empty((len(mask), 256), dtype=np.int32)
    for row, values in enumerate(mask):  # numpy counts a copy of 8 bytes for each value
        counts[row] = np.bincount(values, minlength=256)
    return counts


@TRANSFORMS.register_module()
class RareClassCrop(RandomSquareCrop):
    """A :class:`RandomSquareCrop` of which a share is placed where rare classes are.

    With probability ``rare_class_prob`` a class is drawn among those in the image, by weight, then
    one of its pixels, and the square is placed so that the pixel lies anywhere in it, not only in
    its middle. Sides are drawn as for any crop. A place is drawn again, up to ``max_tries`` times,
    while too much of the crop is 255, or while nothing of the class is left in the mask after
    resizing. Images in which no class has a weight are cropped as usual; so are all with
    ``rare_class_prob=0``, with the very crops of :class:`RandomSquareCrop`.

    Where the pixels of a class are is found out once for each mask and worker
    (:func:`sample_class_pixels`), from a seed of its own, so that neither the number of workers nor
    a resume changes what can be drawn.

    Required keys: ``img`` (uint8, (H, W, 3)), ``gt_seg_map`` (uint8, (H, W)) and, to remember the
    mask by, ``seg_map_path``. Changed keys: ``img``, ``gt_seg_map``, ``img_shape``.

    Args:
        size: Height and width of the result in pixels.
        rare_class_prob: Share of crops that look for a class, 0..1.
        class_weight: Weights by which the class is drawn, in class order; or a JSON file that
            ``class_weights.py`` wrote. None takes the inverse square root of the pixel counts,
            which :class:`ARTeFACTDataset` counts in its own part of the split.
        **kwargs: See :class:`RandomSquareCrop`.

    Raises:
        InputError: If an argument cannot be used; or when a crop is taken and no weights are known.
    """

    def __init__(
        self,
        size: int,
        rare_class_prob: float = 0.5,
        class_weight: Sequence[float] | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(size, **kwargs)
        if isinstance(rare_class_prob, bool) or not isinstance(rare_class_prob, (int, float)):
            raise InputError(f"rare_class_prob must be a number in 0..1, found {rare_class_prob!r}")
        if not 0 <= rare_class_prob <= 1:
            raise InputError(f"rare_class_prob must be in 0..1, found {rare_class_prob}")
        self.rare_class_prob = rare_class_prob
        self._weights = None if class_weight is None else load_class_weights(class_weight)
        self._pixels: dict[str, Pixels] = {}

    @property
    def needs_counts(self) -> bool:
        """Whether :meth:`set_class_counts` must be called before the first crop."""
        return self.rare_class_prob > 0 and self._weights is None

    def set_class_counts(self, counts: NDArray[np.int64]) -> None:
        """Draws classes by the inverse square root of their pixels from now on.

        Args:
            counts: int64 (classes,), pixels of each class in the images that are trained on.
        """
        self._weights = class_weights(counts, "inverse_sqrt")

    def _choose_box(self, results: dict[str, Any]) -> Box:
        """Returns a box around a rare class, or any box."""
        if self.rare_class_prob > 0 and self._looks_for_a_class():
            box: Box = self._draw_class_box(results)
            return box
        return super()._choose_box(results)

    @cache_randomness
    def _looks_for_a_class(self) -> bool:
        return bool(np.random.rand() < self.rare_class_prob)

    @cache_randomness
    def _draw_class_box(self, results: dict[str, Any]) -> Box:
        """Draws a class, a pixel of it and a box around that."""
        mask: np.ndarray = results["gt_seg_map"]
        pixels = self._pixels_of(results)
        class_id = self._draw_class(pixels)
        if class_id is None:
            box: Box = self._draw_box(mask)
            return box
        for _ in range(self.max_tries):
            row, column = pixels[class_id][np.random.randint(len(pixels[class_id]))]
            side = self._draw_side(mask)
            box = (_place(row, side, mask.shape[0]), _place(column, side, mask.shape[1]), side)
            cut = self._cut_mask(mask, box)
            ignored = np.count_nonzero(cut == IGNORE_INDEX)
            if ignored <= self.max_ignore * cut.size and (cut == class_id).any():
                break
        return box

    def _draw_class(self, pixels: Pixels) -> int | None:
        """Returns a class of the image, by weight; None where none has a weight."""
        if self._weights is None:
            raise InputError(
                "RareClassCrop does not know how rare the classes are: ARTeFACTDataset tells it; "
                "with another data set give class_weight, a list or a JSON file"
            )
        present = sorted(pixels)
        if present and present[-1] >= len(self._weights):
            raise InputError(
                f"RareClassCrop has weights for {len(self._weights)} classes, but a mask holds the "
                f"class {present[-1]}; give class_weight one weight for each class of the data set"
            )
        weights = np.array([self._weights[class_id] for class_id in present])
        if not weights.any():
            return None
        return int(np.random.choice(present, p=weights / weights.sum()))

    def _pixels_of(self, results: dict[str, Any]) -> Pixels:
        """Returns where the classes are in this mask, remembered by its file."""
        mask, path = results["gt_seg_map"], results.get("seg_map_path")
        pixels = self._pixels.get(str(path))
        if pixels is None or not _fits(pixels, mask):
            pixels = sample_class_pixels(mask)
            if path is not None:
                self._pixels[str(path)] = pixels
        return pixels

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, rare_class_prob={self.rare_class_prob}, "
            f"max_ignore={self.max_ignore}, native_prob={self.native_prob})"
        )


def _place(position: int, side: int, length: int) -> int:
    """Draws where a side begins that holds a position and, where it can, stays within a length."""
    last = max(length - side, 0)
    return int(np.random.randint(min(max(0, position - side + 1), last), min(position, last) + 1))


def _fits(pixels: Pixels, mask: np.ndarray) -> bool:
    """Whether pixels are of this mask, by one of each class: an earlier transform may move it."""
    for class_id, found in pixels.items():
        row, column = found[-1]
        if row >= mask.shape[0] or column >= mask.shape[1] or mask[row, column] != class_id:
            return False
    return True
