"""Center lines: clDice as published, and lines whose score is known."""

import numpy as np
import pytest
from skimage.morphology import skeletonize

from mmseg_heritage.evaluation.counts import skeleton
from mmseg_heritage.evaluation.counts.skeleton import skeleton_counts, skeleton_scores


def _published(prediction, label):
    """The clDice of two binary maps, by equations 1 and 2 of Shit et al."""
    predicted_line, true_line = (skeletonize(m, method="lee") > 0 for m in (prediction, label))
    precision = np.sum(predicted_line * label) / np.sum(predicted_line)
    sensitivity = np.sum(true_line * prediction) / np.sum(true_line)
    return 2 * precision * sensitivity / (precision + sensitivity)


def _strokes(seed, shape=(160, 120), classes=4):
    """A map of lines of several widths."""
    generator = np.random.default_rng(seed)
    ids = np.zeros(shape, dtype=np.uint8)
    for _ in range(12):
        y, x, width = generator.integers(0, shape[0]), generator.integers(0, shape[1]), 1
        width, class_id = generator.integers(1, 7), generator.integers(1, classes)
        for _ in range(70):
            y, x = y + generator.integers(-1, 3), x + generator.integers(-2, 3)
            ids[max(y, 0) : y + width, max(x, 0) : x + width] = class_id
    return ids


@pytest.mark.parametrize("seed", range(5))
def test_the_score_of_each_class_is_the_published_one(seed):
    label = _strokes(seed)
    prediction = np.where(np.random.default_rng(seed).random(label.shape) < 0.1, 0, label)
    prediction = np.roll(prediction, 1, axis=1)
    scores = skeleton_scores(skeleton_counts(label, prediction, 4))
    for class_id in range(1, 4):
        expected = _published(prediction == class_id, label == class_id)
        assert scores["cldice"][class_id] == pytest.approx(expected)
        assert 0 < scores["recall"][class_id] < 1
    assert np.isnan(scores["cldice"][0])


@pytest.mark.parametrize("shift", np.arange(0, 1, 0.1))
def test_no_line_is_lost_at_45_degrees(shift):
    rows, columns = np.mgrid[:100, :100]
    for width in (1, 3, 7):
        line = np.abs(columns - rows - shift) <= width / 2 * np.sqrt(2)
        counts = skeleton_counts(line.astype(np.uint8), line.astype(np.uint8), 2)
        assert counts[1, 0] == counts[1, 2] > 85


@pytest.mark.parametrize("rows", [1, 7, 50])
def test_strips_of_rows_change_nothing(rows, monkeypatch):
    label, prediction = _strokes(1), _strokes(2)
    expected = skeleton_counts(label, prediction, 4)
    monkeypatch.setattr(skeleton, "_STRIP", rows * label.shape[1])
    monkeypatch.setattr(skeleton, "_HALO", 40)
    assert np.array_equal(skeleton_counts(label, prediction, 4), expected)


def test_width_does_not_count_but_gaps_do():
    label, wide, broken = (np.zeros((60, 200), dtype=np.uint8) for _ in range(3))
    label[30, 10:190], wide[27:34, 10:190], broken[30, 10:190] = 1, 1, 1
    broken[:, 40:160:2] = 0  # half of the middle
    scores = skeleton_scores(skeleton_counts(label, wide, 2))
    assert scores["recall"][1] == 1
    assert scores["cldice"][1] > 0.99  # its line may begin beside that of the truth
    assert (wide == 1).sum() == 7 * (label == 1).sum()
    scores = skeleton_scores(skeleton_counts(label, broken, 2))
    assert scores["recall"][1] == pytest.approx(1 - 60 / 180)
    assert scores["precision"][1] == 1


def test_unlabeled_pixels_are_left_out_of_both_maps():
    label, prediction = _strokes(3), _strokes(4)
    label[40:90] = 255
    changed = prediction.copy()
    changed[40:90] = 1
    counts = skeleton_counts(label, prediction, 4)
    assert np.array_equal(counts, skeleton_counts(label, changed, 4))
    assert counts.dtype == np.int64


def test_a_class_in_one_map_scores_zero_and_clean_is_no_line():
    label, prediction = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    prediction[5, 2:18] = 1
    counts = skeleton_counts(label, prediction, 3)
    assert counts[1].tolist() == [16, 0, 0, 0]
    assert not counts[0].any()
    scores = skeleton_scores(counts)["cldice"]
    assert scores[1] == 0
    assert np.isnan(scores[2])
    assert skeleton_counts(label, prediction, 3, clean=None)[0].any()
