"""What a model gains by learning: scores of the same images before and after. Needs numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmseg_heritage.evaluation.counts.confusion import class_scores
from mmseg_heritage.evaluation.counts.levels import derived_levels
from mmseg_heritage.evaluation.means import image_scores, pooled_means

DEFINITIONS = {
    "unit": "percent",
    "damage_IoU": "IoU of all damage together, of the pixels of all images",
    "mIoU": "mean IoU over classes that are in the truth or in a prediction",
    "IoU.<class>": "of classes that are in the truth",
    "images": "mIoU of each image, over classes in its truth or its prediction",
}


def learning_scores(
    before: Mapping[str, np.ndarray],
    after: Mapping[str, np.ndarray],
    classes: Sequence[str],
    levels: Any = None,
) -> dict[str, Any]:
    """Returns scores before and after, see :data:`DEFINITIONS`.

    Args:
        before: Id of each image -> confusion counts int64 (C, C), rows are the truth.
        after: The same images.
        classes: Names of the classes.
        levels: As a data set's metainfo has them; None for those of the classes' names.
    """
    ids = list(before)
    counts = {name: np.stack([found[i] for i in ids])
              for name, found in (("before", before), ("after", after))}  # fmt: skip
    grouping = derived_levels(tuple(classes), levels)
    shown = counts["before"].sum(axis=(0, 2)) > 0
    scores: dict[str, dict[str, float | None]] = {}
    for when, confusion in counts.items():
        pooled = confusion.sum(axis=0)
        means = pooled_means(pooled, classes, grouping)
        for key in ("damage_IoU", "mIoU"):
            if key in means:
                scores.setdefault(key, {})[when] = _percent(means[key])
        for name, iou, is_shown in zip(classes, class_scores(pooled)["iou"], shown, strict=True):
            if is_shown:
                scores.setdefault(f"IoU.{name}", {})[when] = _percent(100 * iou)
    images = {when: image_scores(confusion) for when, confusion in counts.items()}
    return {
        "definitions": DEFINITIONS,
        "scores": scores,
        "images": {
            name: {when: _percent(values[i]) for when, values in images.items()}
            for i, name in enumerate(ids)
        },
    }


def _percent(value: Any) -> float | None:
    return None if math.isnan(value) else round(float(value), 2)
