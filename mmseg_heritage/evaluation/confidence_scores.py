"""How well the probabilities of a model tell where it is right, of a sample of pixels.

Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmseg_heritage.evaluation.counts.calibration import calibration_counts, calibration_error
from mmseg_heritage.evaluation.counts.risk_coverage import (
    area_under_risk_coverage,
    risk_coverage,
)

DEFINITIONS = {
    "NLL": "mean of -ln p(true class), in nats",
    "ECE": "expected calibration error over 15 bins of equal width of the confidence, percent "
    "(Guo et al., ICML 2017, eq. 3)",
    "AURC": "area under the curve of risk over coverage: mean share wrong among the n surest "
    "pixels, over all n, percent (Geifman et al., ICLR 2019)",
    "wrong": "share of wrong pixels, percent",
    "classes": "NLL of the pixels labeled as the class; ECE, confidence and precision of those "
    "predicted as it",
    "risk_coverage": "[coverage, risk] in percent: the share of pixels that are accepted, the "
    "surest first, and how many of them are wrong; the smallest coverages from 5, 10, 20, ... on",
}
COVERAGES = (5, *range(10, 101, 10))
"""In percent, where the curve of risk is told."""


def confidence_scores(
    logs: np.ndarray, labels: np.ndarray, classes: Sequence[str], predicted: np.ndarray
) -> dict[str, Any]:
    """Scores the probabilities of pixels, see :data:`DEFINITIONS`.

    Args:
        logs: Logarithms of probabilities, float (N, C).
        labels: True classes, int (N,).
        classes: Names of the C classes.
        predicted: Classes that were chosen, int (N,).
    """
    each = np.arange(len(labels))
    confidence = np.exp(logs[each, predicted].astype(np.float64)).clip(max=1)
    right, surprise = predicted == labels, -logs[each, labels].astype(np.float64)
    bins = calibration_counts(labels, predicted, confidence)
    return {
        "NLL": _number(surprise.mean()),
        "ECE": _number(100 * calibration_error(bins)),
        "AURC": _number(100 * area_under_risk_coverage(confidence, right)),
        "wrong": _number(100 * (~right).mean()),
        "confidence": _number(100 * confidence.mean()),
        "classes": {
            name: _of_class(labels == i, predicted == i, surprise, confidence, right)
            for i, name in enumerate(classes)
        },
        "risk_coverage": _curve(confidence, right),
        "bins": bins.tolist(),
    }


def _of_class(
    labeled: np.ndarray,
    predicted: np.ndarray,
    surprise: np.ndarray,
    confidence: np.ndarray,
    right: np.ndarray,
) -> dict[str, Any]:
    """Returns the scores of a class; None where it has no pixel."""
    found: dict[str, Any] = {"labeled": int(labeled.sum()), "predicted": int(predicted.sum())}
    found["NLL"] = _number(surprise[labeled].mean()) if labeled.any() else None
    if not predicted.any():
        return {**found, "ECE": None, "confidence": None, "precision": None}
    zeros = np.zeros(found["predicted"], np.uint8)
    counts = calibration_counts(zeros, (~right[predicted]).astype(np.uint8), confidence[predicted])
    return {
        **found,
        "ECE": _number(100 * calibration_error(counts)),
        "confidence": _number(100 * confidence[predicted].mean()),
        "precision": _number(100 * right[predicted].mean()),
    }


def _curve(confidence: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """Returns the risk at the smallest coverages from each of some on, in percent."""
    coverage, risk = risk_coverage(confidence, right)
    places = np.searchsorted(coverage, np.array(COVERAGES) / 100 - 1e-12)
    places = places.clip(max=len(coverage) - 1)
    return [[_number(100 * coverage[i]), _number(100 * risk[i])] for i in places]


def _number(value: Any) -> float:
    return float(f"{float(value):.6g}")
