"""Every mean that a test reports, of the images as they are and of resamples of them.

Both come from the same lines, so that an interval belongs to its score. Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmseg_heritage.evaluation.comparing.bootstrap import (
    MIN_GROUPS,
    RESAMPLES,
    Resamples,
    resample_groups,
)
from mmseg_heritage.evaluation.counts.boundary import boundary_scores
from mmseg_heritage.evaluation.counts.calibration import calibration_error
from mmseg_heritage.evaluation.counts.confusion import (
    class_scores,
    level_counts,
    level_iou,
    mean_over_present,
    pixel_accuracy,
)
from mmseg_heritage.evaluation.counts.skeleton import skeleton_scores
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.taxonomy import BACKGROUND, CLEAN, Level

WORST_SHARE = 0.1


def all_means(counts: Counts, resamples: Resamples | None = None) -> dict[str, np.ndarray]:
    """Returns every mean over classes or images that the counts allow.

    Args:
        counts: Counts of a test.
        resamples: Drawn images; None takes each image once.

    Returns:
        Key -> float64 (R,) in percent, NaN where nothing is defined, with R = 1 without resamples.
        Definitions: :data:`mmseg_heritage.evaluation.summary.DEFINITIONS`.
    """
    drawn = resamples or _each_once(len(counts.ids))
    means = pooled_means(
        drawn.totals(counts.confusion), counts.classes, counts.levels, supported(counts)
    )
    del means["classes_in_mean"]
    means |= head_means({name: drawn.totals(own) for name, own in counts.own.items()})
    scores = image_scores(counts.confusion)
    means["image_mIoU"] = _mean_of_worst(scores, drawn.weights(), 1.0)
    means["worst_decile_mIoU"] = _mean_of_worst(scores, drawn.weights(), WORST_SHARE)
    if counts.has("boundary"):
        f1 = boundary_scores(drawn.totals(counts.boundary))["f1"]
        means["boundary_mF1"] = 100 * mean_over_present(f1)[0]
    if counts.has("skeleton"):
        cldice = skeleton_scores(drawn.totals(counts.skeleton))["cldice"]
        means["mclDice"] = 100 * mean_over_present(cldice)[0]
    if counts.has("calibration"):
        means["ECE"] = 100 * calibration_error(drawn.totals(counts.calibration))
    return means


def class_ious(counts: Counts, resamples: Resamples | None = None) -> dict[str, np.ndarray]:
    """Returns the IoU of each class, and of each group of the levels above them.

    Args:
        counts: Counts of a test.
        resamples: Drawn images; None takes each image once.

    Returns:
        ``IoU.<class>`` and ``<level>.IoU.<group>`` -> float64 (R,) in percent or NaN.
    """
    totals = (resamples or _each_once(len(counts.ids))).totals(counts.confusion)
    found = {"": (counts.classes, class_scores(totals)["iou"])}
    for name, level in counts.levels.items():
        merged = level_counts(totals, level.fine_to_group, len(level.classes))
        found[f"{name}."] = (level.classes, level_iou(merged))
    return {
        f"{level}IoU.{name}": 100 * iou[:, index]
        for level, (names, iou) in found.items()
        for index, name in enumerate(names)
    }


def confidence_intervals(
    counts: Counts, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Returns the interval of every mean and of every class's IoU.

    Args:
        counts: Counts of a test with one image or more.
        resamples: Number of resamples of the source groups.
        seed: Of the draws.

    Returns:
        Keys of :func:`all_means` and :func:`class_ious` -> what
        :meth:`mmseg_heritage.evaluation.comparing.bootstrap.Resamples.interval` returns, in
        percent.
    """
    drawn = resample_groups(counts.groups, resamples, seed)
    found = {key: drawn.interval(values) for key, values in all_means(counts, drawn).items()}
    images = class_images(counts)
    for key, values in class_ious(counts, drawn).items():
        found[key] = drawn.interval(values, images[key])
    return found


def class_images(counts: Counts) -> dict[str, np.ndarray]:
    """Returns which images show each class, and each group of the levels above, in their truth.

    Args:
        counts: Counts of a test.

    Returns:
        Keys of :func:`class_ious` -> bool (N,).
    """
    shown = counts.confusion.sum(axis=2) > 0
    images = {f"IoU.{name}": shown[:, index] for index, name in enumerate(counts.classes)}
    for level_name, level in counts.levels.items():
        groups = np.array(level.fine_to_group)
        for index, name in enumerate(level.classes):
            images[f"{level_name}.IoU.{name}"] = shown[:, groups == index].any(axis=1)
    return images


def pooled_means(
    confusion: np.ndarray,
    classes: Sequence[str],
    levels: Mapping[str, Level],
    enough: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Returns the means over classes, and the IoU of Damage, from pooled counts.

    Args:
        confusion: Counts (..., C, C), rows are the truth.
        classes: Names of the C classes.
        levels: Level name -> grouping of the classes.
        enough: bool (C,), classes with enough support; None leaves their mean out.

    Returns:
        Key -> float64 (...) in percent, NaN where nothing is defined; ``classes_in_mean`` is a
        number.
    """
    scores = class_scores(confusion)
    means: dict[str, np.ndarray] = {}
    means["mIoU"], number = mean_over_present(scores["iou"])
    for key, score in (("mF1", "f1"), ("mPrecision", "precision"), ("mRecall", "recall")):
        means[key] = mean_over_present(scores[score])[0]
    means["aAcc"] = pixel_accuracy(confusion)
    damage = damage_classes(classes)
    if not damage.all():
        means["damage_classes_mIoU"] = mean_over_present(scores["iou"][..., damage])[0]
    if enough is not None:
        means["supported_mIoU"] = mean_over_present(scores["iou"][..., enough])[0]
    for name, level in levels.items():
        iou = level_iou(level_counts(confusion, level.fine_to_group, len(level.classes)))
        if name == "binary":
            means["damage_IoU"] = iou[..., 1]
        means[f"{name}_mIoU"] = mean_over_present(iou)[0]
    return {**{key: 100 * value for key, value in means.items()}, "classes_in_mean": number}


def head_means(own: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the mean IoU of the maps that a model's own heads predicted for its levels.

    Args:
        own: Level name -> pooled counts (..., G + 1, G + 1), in the form of
            :func:`mmseg_heritage.evaluation.counts.confusion.level_counts`.

    Returns:
        ``<level>_head_mIoU`` -> float64 (...) in percent or NaN.
    """
    return {
        f"{name}_head_mIoU": 100 * mean_over_present(level_iou(counts))[0]
        for name, counts in own.items()
    }


def image_scores(confusion: np.ndarray) -> np.ndarray:
    """Returns of each image the mean IoU over the classes in its truth or its prediction.

    Args:
        confusion: Counts (N, C, C), rows are the truth.

    Returns:
        float64 (N,) in percent; NaN for an image without a valid pixel.
    """
    return 100 * mean_over_present(class_scores(confusion)["iou"])[0]


def worst_images(scores: np.ndarray) -> np.ndarray:
    """Returns which images are the worst tenth: of n images with a score the lowest ceil(n / 10).

    Args:
        scores: float64 (N,), NaN for images that do not count.

    Returns:
        Their positions, the worst first; of equal ones the earlier first.
    """
    number = int((~np.isnan(scores)).sum())
    return np.argsort(scores, kind="stable")[: math.ceil(WORST_SHARE * number)]  # NaN come last


def damage_classes(classes: Sequence[str]) -> np.ndarray:
    """Returns, as bool (C,), which classes are damage: all but Clean and Background."""
    return np.array([name not in (CLEAN, BACKGROUND.name) for name in classes])


def supported(counts: Counts) -> np.ndarray:
    """Returns, as bool (C,), which classes enough source groups show in their truth."""
    return support(counts.confusion, counts.groups)["groups"] >= MIN_GROUPS


def support(confusion: np.ndarray, groups: Sequence[str]) -> dict[str, np.ndarray]:
    """Counts where the truth shows each class.

    Args:
        confusion: int64 (N, C, C), rows are the truth.
        groups: Source group of each image.

    Returns:
        'support_pixels', 'images', 'groups': int64 (C,).
    """
    pixels = confusion.sum(axis=2)
    shown = pixels > 0
    names = np.array(groups)
    return {
        "support_pixels": pixels.sum(axis=0),
        "images": shown.sum(axis=0),
        "groups": np.array([len(set(names[column])) for column in shown.T], dtype=np.int64),
    }


def _each_once(images: int) -> Resamples:
    """Returns the one resample that has every image once."""
    return Resamples(np.arange(images), np.ones((1, images), dtype=np.int64), seed=0)


def _mean_of_worst(scores: np.ndarray, weights: np.ndarray, share: float) -> np.ndarray:
    """Averages the lowest scores of each resample.

    Args:
        scores: float64 (N,), NaN for images that do not count.
        weights: int64 (R, N), how often each image is in each resample.
        share: Of n images that count, ceil(share n) are averaged.

    Returns:
        float64 (R,), NaN where no image counts.
    """
    valid = ~np.isnan(scores)
    order = np.argsort(scores[valid], kind="stable")
    scores, weights = scores[valid][order], weights[:, valid][:, order]
    through = weights.cumsum(axis=1)
    number = np.ceil(share * weights.sum(axis=1, keepdims=True))
    taken = np.clip(number - (through - weights), 0, weights)
    with np.errstate(invalid="ignore"):
        return (taken * scores).sum(axis=1) / number[:, 0]
