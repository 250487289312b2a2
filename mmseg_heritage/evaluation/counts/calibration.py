"""Whether a model is right as often as it is sure: reliability and expected calibration error.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section 2.
Needs numpy only.
"""

from __future__ import annotations

import numpy as np

from mmseg_heritage.taxonomy import IGNORE_INDEX

BINS = 15
"""As in the paper."""

_CHUNK = 1 << 16  # pixels counted at a time, so that memory stays constant


def calibration_counts(
    label: np.ndarray, prediction: np.ndarray, confidence: np.ndarray, bins: int = BINS
) -> np.ndarray:
    """Counts pixels by the confidence of their prediction; pixels labeled 255 are left out.

    Args:
        label: Class ids or 255, any shape.
        prediction: Class ids, the same shape.
        confidence: Probability in 0..1 that the model gives to its prediction, the same shape.
        bins: Number K of bins of equal width; bin k of 1..K holds ((k - 1) / K, k / K], and the
            first one 0 too.

    Returns:
        float64 (K, 3): pixels, sum of their confidences, right ones among them.

    Raises:
        ValueError: If shapes differ, or a confidence is no number in 0..1.
    """
    if not label.shape == prediction.shape == confidence.shape:
        raise ValueError(
            f"label has shape {label.shape}, prediction {prediction.shape}, confidence "
            f"{confidence.shape}"
        )
    label, prediction, confidence = label.ravel(), prediction.ravel(), confidence.ravel()
    counts = np.zeros((3, bins))
    for start in range(0, label.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        valid = label[chunk] != IGNORE_INDEX
        sure = confidence[chunk][valid].astype(np.float64)
        if not ((sure >= 0) & (sure <= 1 + 1e-6)).all():
            raise ValueError("expected confidences in 0..1")
        right = (label[chunk] == prediction[chunk])[valid]
        index = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
        for row, weights in enumerate((None, sure, right)):
            counts[row] += np.bincount(index, weights=weights, minlength=bins)
    return counts.T.copy()


def calibration_error(counts: np.ndarray) -> np.ndarray:
    """Returns the expected calibration error in 0..1, float64 (...), NaN where there is no pixel.

    With n pixels, and of bin k its share right acc(k) and its mean confidence conf(k): the sum of
    n(k) / n |acc(k) - conf(k)| (equation 3 of the paper).

    Args:
        counts: float64 (..., K, 3), as :func:`calibration_counts` returns them.
    """
    pixels = counts[..., 0].sum(axis=-1)
    error = np.abs(counts[..., 2] - counts[..., 1]).sum(axis=-1)
    return np.where(pixels > 0, error / np.maximum(pixels, 1), np.nan)
