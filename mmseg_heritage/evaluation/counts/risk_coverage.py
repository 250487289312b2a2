"""How many of the pixels are wrong if only those are accepted of which a model is surest.

El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 11, 2010;
Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR
2019. Needs numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def risk_coverage(
    confidence: np.ndarray, right: np.ndarray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the curve of risk over coverage.

    Args:
        confidence: Of each pixel, (N,).
        right: Whether it is right, (N,).

    Returns:
        Of each different confidence, from the largest on: the share of pixels that are at least as
        sure, and the share of wrong ones among these; both float64 (M,), in 0..1.
    """
    pixels, wrong, _ = _by_confidence(confidence, right)
    accepted = pixels.cumsum()
    return accepted / max(len(confidence), 1), wrong.cumsum() / accepted


def area_under_risk_coverage(confidence: np.ndarray, right: np.ndarray) -> float:
    """Returns AURC in 0..1: the mean over n = 1..N of the share wrong among the n surest pixels.

    Pixels of one confidence are taken in an order in which their wrong ones are spread evenly.

    Args:
        confidence: Of each pixel, (N,).
        right: Whether it is right, (N,).

    Returns:
        NaN without pixels.
    """
    pixels, wrong, order = _by_confidence(confidence, right)
    if not len(order):
        return float("nan")
    spread = np.repeat(wrong / pixels, pixels)
    return float((spread.cumsum() / np.arange(1, len(order) + 1)).mean())


def _by_confidence(
    confidence: np.ndarray, right: np.ndarray
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Counts pixels and wrong ones of each confidence, from the largest on; and their order."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]][: len(ranked)])
    pixels = np.diff(np.r_[starts, len(ranked)])
    wrong = ~right[order].astype(bool)
    sums = np.add.reduceat(wrong.astype(np.float64), starts) if len(starts) else np.zeros(0)
    return pixels, sums, order
