"""Figures of calibration are drawn from what calibrate and test write."""

import numpy as np
from PIL import Image

from mmseg_heritage.evaluation.confidence_scores import confidence_scores
from mmseg_heritage.visualization.figures.calibration_figure import (
    plot_calibration,
    plot_risk_coverage,
)


def test_before_and_after(tmp_path):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1], 300)
    labels, predicted = random.integers(0, 2, 300), probabilities.argmax(axis=1)
    scores = confidence_scores(np.log(probabilities), labels, ("Clean", "a"), predicted)
    content = {"method": "vector", "scores": {"before": scores, "vector": scores}}
    plot_calibration(tmp_path / "a.png", content)
    assert min(Image.open(tmp_path / "a.png").size) > 300


def test_risk_of_a_test_with_empty_bins(tmp_path):
    bins = [{"pixels": 0, "accuracy": None}, {"pixels": 5, "accuracy": 60.0}]
    plot_risk_coverage(tmp_path / "b.png", {"calibration": {"bins": bins}})
    assert min(Image.open(tmp_path / "b.png").size) > 300
