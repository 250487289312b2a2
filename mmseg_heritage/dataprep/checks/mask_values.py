"""What the values of masks tell about how they were made. These are judgements, so warnings."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.taxonomy import ARTEFACT, CLEAN, IGNORE_INDEX, ClassList

_IMPORT = "mmseg-heritage import-data {mapping} --images images --masks annotations --out FOLDER"
_SMOOTH_CLASSES = 3
_SMOOTH_SHARE = 0.9


def set_warnings(counts: NDArray[np.int64], classes: ClassList) -> list[str]:
    """Says what is odd about the values of all masks of a data set, or of a part of it.

    Args:
        counts: int64 (masks, classes + 1), pixels of each class; 255 comes last.
        classes: What the values of the masks mean.
    """
    if not len(counts):
        return []
    names = [c.name for c in classes.classes]
    shown = {name for name, pixels in zip(names, counts.sum(axis=0), strict=False) if pixels}
    outside = (counts[:, -1] > 0).sum()
    if not shown:
        return ["no mask has a labeled pixel: all is 255, outside the object"]
    if shown == {CLEAN}:
        found = "no mask shows any damage: a model that is trained on them calls everything Clean"
        if outside:
            found += (
                f". {outside} of {len(counts)} masks hold 255, which means outside the object. "
                "Where it means damage, give it a class: " + _IMPORT.format(mapping="cracks_255")
            )
        return [found]
    first = next(c for c in classes.classes if c.name != CLEAN)
    if classes == ARTEFACT and len(counts) > 1 and shown - {CLEAN} == {first.name}:
        return [
            f"the masks hold no class but {' and '.join(sorted(shown))}. {first.id} means "
            f"{first.name}; where it only means damage, or another kind of it, say which: "
            + _IMPORT.format(mapping="cracks_1")
        ]
    return []


def smoothed_classes(mask: NDArray[np.uint8], ids: Sequence[int]) -> list[int]:
    """Finds classes that are nowhere but between higher and lower ids, as resizing makes them.

    Where a mask was resized or saved like a photograph, values were averaged along its edges, and
    the averages look like ids.

    Args:
        mask: uint8 (H, W).
        ids: Of the classes.

    Returns:
        Ids; empty where they are so few that real damage may lie so.
    """
    found = [i for i in np.unique(mask).tolist() if i in ids]
    if len(found) < _SMOOTH_CLASSES + 2:  # and the two that were averaged
        return []
    kernel = np.ones((3, 3), dtype=np.uint8)
    known = np.where(mask == IGNORE_INDEX, 0, mask)
    between = (cv2.erode(known, kernel) < mask) & (mask < cv2.dilate(known, kernel))
    all_pixels = np.bincount(mask.ravel(), minlength=256)
    odd_pixels = np.bincount(mask[between], minlength=256)
    smooth = [i for i in found if odd_pixels[i] >= _SMOOTH_SHARE * all_pixels[i]]
    return smooth if len(smooth) >= _SMOOTH_CLASSES else []
