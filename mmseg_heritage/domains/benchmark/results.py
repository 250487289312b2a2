"""Scores of methods on domains they were not trained on, with paired intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS, percentiles, resample_groups
from mmseg_heritage.evaluation.comparing.significance import paired_p
from mmseg_heritage.evaluation.counts.confusion import class_scores, mean_over_present
from mmseg_heritage.evaluation.store import Counts

SCORES = ("macro", "worst", "pooled")
ORACLE = "oracle"
DEFINITIONS = {
    "unit": "percent",
    "fold": "mIoU over the classes that the truth of the held-out images shows; mean over seeds",
    "macro": "mean of the folds",
    "worst": "lowest fold",
    "pooled": "mIoU over classes present, from the pixels of all held-out images together",
    "in_domain": "mean over folds of the same score on the validation images, which are of the "
    "domains that were trained on; no weights were chosen by them",
    "gap": "in_domain - macro",
    "difference": "to the reference, with 95 % interval and p of the paired bootstrap: in each "
    "fold source groups are drawn with replacement, as many as there are, the same ones for both",
    "adaptation": "the last weights, adapted to each held-out image before it is predicted; it has "
    "seen the test images, so it is in a table of its own",
    "oracle": "the saved checkpoint of each run that scores best on the held-out images: what a "
    "choice on test data would pretend, never a result",
    "time": "median over runs of the time of an iteration by that of the reference with the same "
    "fold and seed",
    "memory": "peak of the training process, median over runs",
    "weights": "those of the last iteration, or their mean where the config averages",
}

FoldCounts = Mapping[str, Sequence[Counts]]
"""Fold -> the counts of each seed, on the same images."""


def present_miou(confusion: np.ndarray) -> np.ndarray:
    """Returns the mean IoU over the classes that the truth shows.

    Args:
        confusion: Counts (..., C, C), rows are the truth.

    Returns:
        float64 (...) in percent, NaN without a valid pixel.
    """
    iou = np.where(confusion.sum(axis=-1) > 0, class_scores(confusion)["iou"], np.nan)
    return 100 * mean_over_present(iou)[0]


def family_results(
    held_out: Mapping[str, FoldCounts],
    in_domain: Mapping[str, FoldCounts],
    reference: str,
    resamples: int,
    seed: int = 0,
    beside: Mapping[str, Mapping[str, FoldCounts]] | None = None,
) -> dict[str, Any]:
    """Compares methods on one family of folds.

    Args:
        held_out: Method -> counts on the held-out domains.
        in_domain: Method -> counts on the validation images.
        reference: Method that the others are compared with.
        resamples: Number of resamples.
        seed: Of the draws.
        beside: What is no method but another test of its runs, such as an adaptation or an oracle:
            name -> method -> counts on the held-out domains.

    Returns:
        'methods': name -> scores; 'differences': name -> score -> 'difference', 'low', 'high', 'p';
        'beside': name -> method -> scores, with their 'differences' to the same runs without it.
    """
    drawn = {name: _drawn_scores(folds, resamples, seed) for name, folds in held_out.items()}
    methods = {name: _scores(folds) for name, folds in held_out.items()}
    groups = {g for counts in held_out[reference].values() for g in counts[0].groups}

    def compared(scores: Any, other: Any, draws: Any, other_draws: Any) -> dict[str, Any]:
        return {
            key: _difference(scores[key] - other[key], draws[key] - other_draws[key], len(groups))
            for key in SCORES
        }

    for name, found in methods.items():
        found["in_domain"] = _scores(in_domain[name])["macro"]
        found["gap"] = found["in_domain"] - found["macro"]
    others: dict[str, dict[str, Any]] = {}
    for label, tests in (beside or {}).items():
        for name, folds in tests.items():
            scores, draws = _scores(folds), _drawn_scores(folds, resamples, seed)
            scores["differences"] = compared(scores, methods[name], draws, drawn[name])
            others.setdefault(label, {})[name] = scores
    return {
        "methods": methods,
        "source_groups": len(groups),
        "differences": {
            name: compared(methods[name], methods[reference], drawn[name], drawn[reference])
            for name in methods
            if name != reference
        },
        "beside": others,
    }


def best_on_held_out(candidates: Sequence[Counts]) -> Counts:
    """Returns the test of a run that an oracle would choose: the highest score on its fold."""
    return max(candidates, key=lambda counts: float(present_miou(counts.confusion.sum(axis=0))))


def _scores(folds: FoldCounts) -> dict[str, Any]:
    """Returns the scores on the images as they are."""
    totals = {
        name: np.stack([c.confusion.sum(axis=0) for c in seeds]) for name, seeds in folds.items()
    }
    by_fold = {name: float(np.mean(present_miou(total))) for name, total in totals.items()}
    pooled = present_miou(np.sum(list(totals.values()), axis=0))
    return {
        "folds": by_fold,
        "macro": float(np.mean(list(by_fold.values()))),
        "worst": min(by_fold.values()),
        "pooled": float(np.mean(pooled)),
        "seeds": len(pooled),
    }


def _drawn_scores(folds: FoldCounts, resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Returns the scores of each resample, float64 (R,); each fold is drawn on its own."""
    by_fold: list[np.ndarray] = []
    pooled: list[np.ndarray] = []
    for place, name in enumerate(sorted(folds)):
        seeds = folds[name]
        draws = resample_groups(seeds[0].groups, resamples, seed + place)
        totals = np.stack([draws.totals(counts.confusion) for counts in seeds])
        by_fold.append(present_miou(totals).mean(axis=0))
        pooled.append(totals)
    scores = np.stack(by_fold)
    return {
        "macro": scores.mean(axis=0),
        "worst": scores.min(axis=0),
        "pooled": present_miou(np.sum(pooled, axis=0)).mean(axis=0),
    }


def _difference(difference: float, drawn: np.ndarray, groups: int) -> dict[str, float | None]:
    """Returns a difference with its interval; without one where too few groups were tested."""
    low, high = percentiles(drawn) if groups >= MIN_GROUPS else (None, None)
    p = None if low is None else paired_p(drawn)
    return {"difference": difference, "low": low, "high": high, "p": p}
