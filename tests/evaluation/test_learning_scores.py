"""What learning gains, on counts whose scores are known."""

import numpy as np

from mmseg_heritage.evaluation.learning_scores import learning_scores

CLASSES = ("Clean", "Cracks", "Hair")


def test_scores_before_and_after():
    before = {"a": np.array([[6, 0, 0], [4, 0, 0], [0, 0, 0]]), "b": np.diag([10, 0, 0])}
    after = {
        "a": np.array([[6, 0, 0], [2, 2, 0], [0, 0, 0]]),
        "b": np.array([[9, 0, 1], *[[0] * 3] * 2]),
    }
    found = learning_scores(before, after, CLASSES)
    assert found["scores"]["IoU.Cracks"] == {"before": 0.0, "after": 50.0}
    assert found["scores"]["damage_IoU"] == {"before": 0.0, "after": 40.0}
    assert "IoU.Hair" not in found["scores"]  # not in the truth; in the mean all the same
    assert found["scores"]["mIoU"]["after"] == round(100 * (15 / 18 + 0.5 + 0) / 3, 2)
    assert found["images"]["b"] == {"before": 100.0, "after": 45.0}


def test_an_image_of_unknown_pixels_has_no_score():
    counts = {"a": np.zeros((3, 3), int), "b": np.diag([1, 1, 0])}
    found = learning_scores(counts, counts, CLASSES)
    assert found["images"]["a"] == {"before": None, "after": None}
