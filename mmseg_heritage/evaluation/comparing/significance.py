"""Whether two models differ: p values of paired bootstraps, corrected for many questions.

Both models are scored on the same resamples of the same images, so that what is hard for both
cancels. Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmseg_heritage.evaluation.comparing.bootstrap import LEVEL, Resamples

ALPHA = (100 - LEVEL) / 100
DEFINITIONS = {
    "difference": "score of the run minus that of the reference, on the same images; the interval "
    "is over the same resamples of source groups for both",
    "p": "two-sided: twice the share of resamples whose difference is on the rarer side of 0, "
    "(count + 1) / (resamples + 1)",
    "p_holm": "p corrected after Holm (1979): of a class over all classes of the two runs, of a "
    "mean over all runs that are compared with the reference",
    "separable": f"whether p_holm is below {ALPHA:.2f}; if not, the data do not tell the two apart "
    "(which does not show that they are equal)",
}


def paired_p(differences: np.ndarray) -> float:
    """Returns the two-sided p value of a difference from its values in the resamples.

    ``2 min(P(d <= 0), P(d >= 0))``, the level at which the percentile interval just reaches 0
    (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 15.4). One is added to
    both counts, so that no p is 0 (Davison and Hinkley, "Bootstrap Methods and their Application",
    1997, section 4.2). Resamples in which both models score alike count for both sides: models that
    never differ have p = 1.

    Args:
        differences: float64 (R,), NaN in resamples that have no such score.

    Returns:
        In 0..1, NaN where no resample has the score.
    """
    defined = differences[~np.isnan(differences)]
    if not defined.size:
        return float("nan")
    rarer = min((defined <= 0).sum(), (defined >= 0).sum())
    return float(min(1.0, 2 * (rarer + 1) / (defined.size + 1)))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Corrects p values for their number, by the step-down rule of Holm.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6, 1979: the i-th smallest of m is multiplied by m - i + 1, and none is smaller than
    the one before it. Right whatever the tests have to do with each other.

    Args:
        p_values: In 0..1; NaN is no test and stays NaN.

    Returns:
        float64 of the same length, in 0..1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    corrected = np.full(p.shape, np.nan)
    order = np.argsort(p)[: (~np.isnan(p)).sum()]  # NaN sorts last
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected


def paired_difference(
    resamples: Resamples,
    difference: float,
    differences: np.ndarray,
    images: np.ndarray | None = None,
) -> dict[str, Any]:
    """Describes how far apart two models are in one score.

    Args:
        resamples: What both were scored on.
        difference: On all images; NaN where one of the models has no such score.
        differences: float64 (R,), in the resamples.
        images: See :meth:`~mmseg_heritage.evaluation.comparing.bootstrap.Resamples.interval`.

    Returns:
        What :meth:`~mmseg_heritage.evaluation.comparing.bootstrap.Resamples.interval` gives, with
        'difference' and 'p', each None where there is none; p goes with the interval.
    """
    found = resamples.interval(differences, images)
    p = None if found["low"] is None else paired_p(differences)
    return {"difference": None if np.isnan(difference) else float(difference), **found, "p": p}


def with_holm(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds what the p values of a family of differences come to together.

    Args:
        found: What :func:`paired_difference` gave for each question of the family.

    Returns:
        The same with 'p_holm' (None without p), and 'separable': True, False, or None where there
        are too few source groups to say.
    """
    p_values = [float("nan") if entry["p"] is None else entry["p"] for entry in found]
    corrected = holm(p_values)
    return [
        {
            **entry,
            "p_holm": None if np.isnan(p) else float(p),
            "separable": None if np.isnan(p) else bool(p < ALPHA),
        }
        for entry, p in zip(found, corrected, strict=True)
    ]
