"""Confusion counts and the scores derived from them. Exact in int64; needs NumPy and OpenCV only.

What derives scores takes one matrix or a stack of them, of shape (..., C, C): the counts of a test,
of each image, of each resample of a bootstrap. Stacks of whole numbers in float64 are as good.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmseg_heritage.images.masks import pair_counts
from mmseg_heritage.taxonomy import IGNORE_INDEX


def confusion_counts(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts pixels by true and predicted class; pixels labeled 255 are left out.

    Args:
        label: Class ids in 0..num_classes-1 or 255, any shape.
        prediction: Class ids in 0..num_classes-1, the same shape.
        num_classes: At most 255.

    Returns:
        int64 array of shape (num_classes, num_classes); rows are the truth.

    Raises:
        ValueError: If shapes differ or an id is out of range.
    """
    if label.shape != prediction.shape:
        raise ValueError(f"label has shape {label.shape}, prediction {prediction.shape}")
    if label.dtype != np.uint8 or prediction.dtype != np.uint8:
        label, prediction = _as_bytes(label, prediction, num_classes)
    counts = pair_counts(label, prediction, num_classes)
    if counts.sum() != label.size - np.count_nonzero(label == IGNORE_INDEX):
        raise _out_of_range(label, prediction, num_classes)
    return counts


def _as_bytes(
    label: np.ndarray, prediction: np.ndarray, num_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as uint8, with 255 wherever the label is, or raises for what does not fit."""
    ignored = label == IGNORE_INDEX
    both = [np.where(ignored, IGNORE_INDEX, ids) for ids in (label, prediction)]
    if any((ids < 0).any() or (ids > IGNORE_INDEX).any() for ids in both):
        raise _out_of_range(label, prediction, num_classes)
    return both[0].astype(np.uint8), both[1].astype(np.uint8)


def _out_of_range(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> ValueError:
    """Returns the error that names the ids of pixels that count."""
    valid = label != IGNORE_INDEX
    ids = np.concatenate([label[valid], prediction[valid]])
    return ValueError(f"expected class ids in 0..{num_classes - 1}, found {ids.min()}..{ids.max()}")


def merge_classes(counts: np.ndarray, groups: Sequence[int], num_groups: int) -> np.ndarray:
    """Adds up confusion counts over groups of classes.

    Args:
        counts: int64 (..., C, C), rows are the truth.
        groups: Group id in 0..num_groups-1 of each class.
        num_groups: Number of groups G.

    Returns:
        Array of shape (..., G, G) and the dtype of the counts.
    """
    membership = np.zeros((len(groups), num_groups), dtype=np.int64)
    membership[np.arange(len(groups)), list(groups)] = 1
    return membership.T @ counts @ membership


def level_counts(counts: np.ndarray, groups: Sequence[int], num_groups: int) -> np.ndarray:
    """Derives the confusion counts of a level of groups from those of the classes.

    Pixels whose true class is in no group are left out; a class in no group that is predicted where
    there is a group (Clean for damage, at the level "coarse") is a miss, in the last column.

    Args:
        counts: int64 (..., C, C), rows are the truth.
        groups: Group in 0..num_groups-1 of each class, or 255.
        num_groups: Number of groups G.

    Returns:
        Array of shape (..., G + 1, G + 1) and the dtype of the counts, whose last row is 0.
    """
    placed = [num_groups if group == IGNORE_INDEX else group for group in groups]
    merged = merge_classes(counts, placed, num_groups + 1)
    merged[..., num_groups, :] = 0
    return merged


def level_iou(counts: np.ndarray) -> np.ndarray:
    """Returns the IoU in 0..1 or NaN, float64 (..., G), from what :func:`level_counts` gives."""
    return class_scores(counts)["iou"][..., :-1]


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divides; NaN where the denominator is 0."""
    with np.errstate(invalid="ignore"):
        return np.where(denominator > 0, numerator / np.maximum(denominator, 1), np.nan)


def class_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Derives the scores of each class from pooled counts.

    With TP, FP, FN and TN of a class: IoU = TP / (TP + FP + FN), F1 = 2 TP / (2 TP + FP + FN),
    precision = TP / (TP + FP), recall = TP / (TP + FN), accuracy = (TP + TN) / (TP + TN + FP + FN).
    A class with true pixels that is never predicted scores 0 in the first four. A class absent from
    truth and prediction is NaN, and one that is only predicted has IoU, F1 and precision 0 and
    recall NaN.

    Args:
        counts: int64 (..., C, C), rows are the truth.

    Returns:
        'iou', 'f1', 'precision', 'recall', 'accuracy': float64 (..., C) in 0..1 or NaN; 'support':
        (..., C) of the dtype of the counts, true pixels.
    """
    true_positive = np.diagonal(counts, axis1=-2, axis2=-1)
    support, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    union = support + predicted - true_positive
    total = counts.sum(axis=(-2, -1))[..., None]
    precision = _ratio(true_positive, predicted)
    return {
        "iou": _ratio(true_positive, union),
        "f1": _ratio(2 * true_positive, support + predicted),
        "precision": np.where((support > 0) & (predicted == 0), 0.0, precision),
        "recall": _ratio(true_positive, support),
        "accuracy": np.where(union > 0, _ratio(total - union + true_positive, total), np.nan),
        "support": support,
    }


def mean_over_present(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages scores over the classes that have one.

    Args:
        values: float64 (..., C), NaN for classes without a score.

    Returns:
        The means over the others, float64 (...), NaN where there are none, and their numbers,
        int64 (...).
    """
    present = ~np.isnan(values)
    number = present.sum(axis=-1)
    return _ratio(np.where(present, values, 0.0).sum(axis=-1), number), number


def pixel_accuracy(counts: np.ndarray) -> np.ndarray:
    """Returns the share of valid pixels that are right, float64 (...), NaN where there are none."""
    return _ratio(np.trace(counts, axis1=-2, axis2=-1), counts.sum(axis=(-2, -1)))


def all_clean(counts: np.ndarray, clean: int = 0) -> np.ndarray:
    """Returns the counts (..., C, C) that predicting one class everywhere would have given."""
    baseline = np.zeros_like(counts)
    baseline[..., clean] = counts.sum(axis=-1)
    return baseline
