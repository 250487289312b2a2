"""How much of the center lines of thin damage is met, whatever its width.

A crack that is drawn a pixel too wide loses half of its IoU, and one that is broken into ten pieces
next to none. Center lines tell: after the centerline Dice of Shit et al., "clDice: a novel
topology-preserving loss function for tubular structure segmentation", CVPR 2021, equations 1 and 2.
Its topology sensitivity is the skeleton recall of Kirchhoff et al., ECCV 2024. Pixels are counted,
so that every average can be taken later.

Skeletons are those of Lee, Kashyap and Chu, "Building skeleton models via 3-D medial surface/axis
thinning algorithms", CVGIP 56(6), 1994, by scikit-image. The thinning of Zhang and Suen, its
default, leaves one pixel of some lines at exactly 45 degrees.
"""

from __future__ import annotations

import numpy as np

from mmseg_heritage.evaluation.counts.boundary import matched_scores
from mmseg_heritage.taxonomy import IGNORE_INDEX

_STRIP = 1 << 21  # pixels that are thinned in one go, besides their surroundings
_HALO = 128  # rows: lines up to about twice as wide are thinned as in the whole image


def skeleton_counts(
    label: np.ndarray, prediction: np.ndarray, num_classes: int, clean: int | None = 0
) -> np.ndarray:
    """Counts the skeleton pixels of each class, and those on the class in the other map.

    Pixels labeled 255 are left out of both maps. Memory does not grow with the height of the image:
    it is read in strips of rows with their surroundings, so that of regions of more than 256 pixels
    across, which have no center line to speak of, some skeleton pixels may lie elsewhere.

    Args:
        label: Class ids in 0..num_classes-1 or 255, uint8 (H, W).
        prediction: Class ids in 0..num_classes-1, uint8 (H, W).
        num_classes: Number of classes C.
        clean: Class without a skeleton, whose counts are 0; None for none.

    Returns:
        int64 (C, 4): pixels of the predicted skeleton, of these on the class in the truth, pixels
        of the true skeleton, of these on the class in the prediction.
    """
    from skimage.morphology import skeletonize  # here, since only tests need it

    counts = np.zeros((num_classes, 4), dtype=np.int64)
    height, width = label.shape
    rows = max(_STRIP // max(width, 1), 1)
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        low, high = max(start - _HALO, 0), min(stop + _HALO, height)
        true = label[low:high]
        maps = (np.where(true == IGNORE_INDEX, IGNORE_INDEX, prediction[low:high]), true)
        inside = slice(start - low, stop - low)
        for column, (one, other) in enumerate((maps, maps[::-1])):
            for class_id in np.flatnonzero(np.bincount(one.ravel(), minlength=256)):
                if class_id in (clean, IGNORE_INDEX):
                    continue
                line = (skeletonize(one == class_id, method="lee") > 0)[inside]
                counts[class_id, 2 * column] += np.count_nonzero(line)
                met = line & (other[inside] == class_id)
                counts[class_id, 2 * column + 1] += np.count_nonzero(met)
    return counts


def skeleton_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Derives the scores of each class's center lines.

    Precision is the share of the predicted skeleton that lies on the class in the truth, recall
    that of the true skeleton that lies on it in the prediction, and clDice = 2 P R / (P + R). A
    class that has a skeleton in one map only scores 0; one without any is NaN.

    Args:
        counts: Numbers (..., C, 4), as :func:`skeleton_counts` returns them.

    Returns:
        'precision', 'recall', 'cldice': float64 (..., C) in 0..1 or NaN.
    """
    precision, recall, cldice = matched_scores(counts)
    return {"precision": precision, "recall": recall, "cldice": cldice}
