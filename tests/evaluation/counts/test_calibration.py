"""Calibration against a direct loop."""

import numpy as np
import pytest

from mmseg_heritage.evaluation.counts.calibration import calibration_counts, calibration_error


def _case(seed, shape=(300, 311), classes=4):
    generator = np.random.default_rng(seed)
    label = generator.integers(0, classes, shape).astype(np.uint8)
    label[generator.random(shape) < 0.2] = 255
    prediction = generator.integers(0, classes, shape)
    confidence = generator.random(shape).astype(np.float32)
    confidence[:3] = np.array([0, 1, 0.2], dtype=np.float32)[:, None]
    return label, prediction, confidence


@pytest.mark.parametrize("seed", range(3))
def test_the_error_equals_a_direct_loop_over_bins(seed):
    label, prediction, confidence = _case(seed)
    counts = calibration_counts(label, prediction, confidence, bins=10)
    valid = label != 255
    sure, right = confidence[valid].astype(float), (label == prediction)[valid]
    total = 0.0
    for k in range(10):
        inside = (sure > k / 10) & (sure <= (k + 1) / 10) | ((k == 0) & (sure == 0))
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert counts[:, 0].sum() == valid.sum()
    assert counts[:, 2].sum() == right.sum()
    assert calibration_error(counts) == pytest.approx(total, rel=1e-9)
    assert total > 0.1


def test_confidences_that_come_true_have_no_error():
    label = np.array([0, 0, 0, 1] * 25, dtype=np.uint8)  # right three times of four
    counts = calibration_counts(label, np.zeros_like(label), np.full(100, 0.75))
    assert calibration_error(counts) == pytest.approx(0)
    sure = calibration_counts(label, np.zeros_like(label), np.ones(100))
    assert calibration_error(sure) == pytest.approx(0.25)


def test_without_a_pixel_there_is_no_error():
    ignored = np.full(5, 255, dtype=np.uint8)
    counts = calibration_counts(ignored, np.zeros_like(ignored), np.ones(5))
    assert not counts.any()
    assert np.isnan(calibration_error(counts))


@pytest.mark.parametrize("confidence", [np.full(3, 1.2), np.full(3, np.nan), np.ones(2)])
def test_what_is_no_confidence_is_refused(confidence):
    label = np.zeros(3, dtype=np.uint8)
    with pytest.raises(ValueError, match="confidence"):
        calibration_counts(label, label, confidence)
