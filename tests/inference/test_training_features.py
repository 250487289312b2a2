"""Distances and shrinkage against scipy and scikit-learn, and how often like images are flagged."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import ledoit_wolf

from mmseg_heritage.errors import InputError
from mmseg_heritage.inference.training_features import (
    distances,
    read_training_features,
    shrunk_covariance,
    training_features,
)


def normal(seed, images, features=30):
    random = np.random.default_rng(seed)
    return random.normal(size=(images, features)) @ np.random.default_rng(9).normal(
        size=(features, features)
    )


@pytest.mark.parametrize("images", [5, 20, 200])
def test_the_covariance_is_that_of_ledoit_and_wolf(images):
    features = normal(0, images)
    assert shrunk_covariance(features) == pytest.approx(ledoit_wolf(features)[0], rel=1e-6)


def test_distances_are_those_of_mahalanobis():
    features, precision = normal(1, 40), np.linalg.inv(np.cov(normal(2, 200).T))
    mean = features.mean(axis=0)
    expected = [mahalanobis(row, mean, precision) for row in features]
    assert distances(mean, precision, features) == pytest.approx(expected)


def test_like_photographs_are_flagged_as_often_as_it_says_and_others_always():
    found = training_features(normal(3, 60), normal(4, 99), false_alarms=0.1)
    assert found.false_alarm_rate == pytest.approx(0.1)
    flagged = [found.unlikeness(row).is_unlike for row in normal(5, 2000)]
    assert np.mean(flagged) == pytest.approx(0.1, abs=0.06)  # 99 images set the threshold
    others = normal(6, 50) * 8
    assert all(found.unlikeness(row).is_unlike for row in others)


def test_few_held_out_images_promise_no_more_than_they_can():
    found = training_features(normal(3, 60), normal(4, 4), false_alarms=0.05)
    assert found.false_alarm_rate == pytest.approx(1 / 5)
    largest = distances(found.mean, found.precision, normal(4, 4)).max()
    assert found.threshold == pytest.approx(largest)


def test_too_few_training_images_are_refused():
    with pytest.raises(InputError, match="3 training images"):
        training_features(normal(0, 3), normal(1, 3))


def test_what_a_checkpoint_holds_is_read_again():
    found = training_features(normal(3, 60).astype(np.float32), normal(4, 9))
    content = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        for name, value in found.content().items()
    }
    again = read_training_features(content, "a.pth")
    row = normal(7, 1)[0]
    assert again.unlikeness(row) == found.unlikeness(row)
    assert read_training_features(None, "a.pth") is None


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [1.0]},
        {"mean": "text"},
        {"threshold": 0},
        {"precision": [[float("nan")]]},
        {"false_alarm_rate": 2},
        {"images": None},
    ],
)
def test_anything_else_is_refused(change):
    content = training_features(normal(3, 60), normal(4, 9)).content()
    with pytest.raises(InputError, match=r"a\.pth"):
        read_training_features({**content, **change}, "a.pth")
