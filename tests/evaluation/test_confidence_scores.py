"""Scores of probabilities against their definitions on a few pixels."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from mmseg_heritage.evaluation.confidence_scores import confidence_scores


def test_scores_of_some_pixels():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1, 0.2], 500)
    labels, predicted = random.integers(0, 2, 500), probabilities.argmax(axis=1)
    found = confidence_scores(np.log(probabilities), labels, ("Clean", "a", "b"), predicted)
    assert found["NLL"] == pytest.approx(log_loss(labels, probabilities, labels=[0, 1, 2]), 1e-5)
    assert found["wrong"] == pytest.approx(100 * (labels != predicted).mean(), 1e-5)
    sure = probabilities.max(axis=1)
    of_class = found["classes"]["a"]
    assert of_class["confidence"] == pytest.approx(100 * sure[predicted == 1].mean(), 1e-5)
    assert of_class["precision"] == pytest.approx(100 * (labels[predicted == 1] == 1).mean(), 1e-5)
    assert found["classes"]["b"]["NLL"] is None
    coverage, risk = found["risk_coverage"][-1]
    assert (coverage, risk) == (100, found["wrong"])
    assert np.array(found["bins"])[:, 0].sum() == 500
