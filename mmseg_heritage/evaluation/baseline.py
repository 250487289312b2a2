"""Whether a model is better than calling every pixel Clean. Needs numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmseg_heritage.evaluation.counts.confusion import all_clean, class_scores
from mmseg_heritage.evaluation.means import pooled_means
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.taxonomy import CLEAN
from mmseg_heritage.utils.json_reading import form_problems

_DECIDING = {"binary_mIoU": "mean IoU of Clean and Damage", "mIoU": "mean IoU"}
_SHOWN = ("damage_IoU", *_DECIDING)


def scores_beside_clean(counts: Counts) -> dict[str, Any]:
    """Returns main scores beside those of calling every pixel Clean, small enough for a checkpoint.

    Args:
        counts: Counts of a validation or test.

    Returns:
        ``overall`` and ``all_clean``: key -> percent, without what is undefined; ``never_found``:
        names of classes in the truth that were not predicted rightly at any pixel. Empty for
        classes without Clean.
    """
    if CLEAN not in counts.classes:
        return {}
    pooled = counts.confusion.sum(axis=0)
    baseline = all_clean(pooled, counts.classes.index(CLEAN))
    found = class_scores(pooled)
    return {
        "overall": _main_scores(pooled, counts),
        "all_clean": _main_scores(baseline, counts),
        "never_found": [
            name
            for name, iou, pixels in zip(
                counts.classes, found["iou"], found["support"], strict=True
            )
            if pixels and not iou
        ],
    }


def _main_scores(pooled: Any, counts: Counts) -> dict[str, float]:
    means = pooled_means(pooled, counts.classes, counts.levels)
    return {k: float(means[k]) for k in _SHOWN if k in means and not math.isnan(means[k])}


def no_better_than_clean(content: Mapping[str, Any]) -> str:
    """Says in a sentence that scores are not above those of calling every pixel Clean.

    Args:
        content: With ``overall`` and ``all_clean``, as :func:`scores_beside_clean` gives them, and
            ``metrics.json`` has them.

    Returns:
        The sentence; empty where they are above, or where there is nothing to compare.
    """
    overall, clean = content.get("overall") or {}, content.get("all_clean") or {}
    for key, name in _DECIDING.items():
        value, of_clean = overall.get(key), clean.get(key)
        if value is not None and of_clean is not None and value <= of_clean:
            return (
                f"OF NO USE YET: the {name}, {value:.1f} %, is not above that of calling every "
                f"pixel Clean, {of_clean:.1f} %."
            )
    return ""


def read_scores(content: Any) -> dict[str, Any]:
    """Returns what :func:`scores_beside_clean` gave, from a file that may come from anyone.

    Returns:
        Empty where it is something else.
    """
    if not isinstance(content, Mapping):
        return {}
    found: dict[str, Any] = {}
    for part in ("overall", "all_clean"):
        scores = content.get(part)
        if not isinstance(scores, Mapping):
            return {}
        found[part] = {
            key: float(scores[key])
            for key in _SHOWN
            if type(scores.get(key)) in (int, float) and 0 <= scores[key] <= 100
        }
    names = content.get("never_found")
    names = names if isinstance(names, list) else []
    found["never_found"] = [n for n in names if not list(form_problems(n, str, "name"))]
    return found
