"""Means of images and of resamples, against scikit-learn and plain loops."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from mmseg_heritage.evaluation.comparing.bootstrap import Resamples, resample_groups
from mmseg_heritage.evaluation.counts.confusion import confusion_counts
from mmseg_heritage.evaluation.means import (
    all_means,
    class_ious,
    confidence_intervals,
    image_scores,
    pooled_means,
    support,
    supported,
    worst_images,
)
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.taxonomy import ARTEFACT

FINE = ARTEFACT.names


def _tested(random_counts, images=23, seed=0):
    """Returns label maps, predictions, and their counts; some classes are absent."""
    generator = np.random.default_rng(seed)
    labels, predictions = [], []
    for _ in range(images):
        chosen = generator.choice(14, 5, replace=False)
        label = generator.choice([*chosen, 255], (20, 25)).astype(np.uint8)
        noise = generator.choice(chosen, (20, 25))
        share = generator.random()
        predictions.append(np.where((generator.random((20, 25)) < share) & (label < 255),
                                    label, noise).astype(np.uint8))  # fmt: skip
        labels.append(label)
    confusion = np.stack(
        [confusion_counts(*maps, len(FINE)) for maps in zip(labels, predictions, strict=True)]
    )
    return labels, predictions, random_counts(images=images, confusion=confusion)


def test_pooled_means_equal_those_of_scikit_learn(random_counts):
    labels, predictions, counts = _tested(random_counts)
    truth, predicted = np.stack(labels).ravel(), np.stack(predictions).ravel()
    truth, predicted = truth[truth != 255], predicted[truth != 255]
    means = all_means(counts)
    present = sorted(set(truth) | set(predicted))  # 14 and 15 are absent
    options = {"labels": present, "average": "macro", "zero_division": 0}
    for key, reference in (
        ("mIoU", jaccard_score),
        ("mF1", f1_score),
        ("mPrecision", precision_score),
        ("mRecall", recall_score),
    ):
        assert means[key] == pytest.approx(100 * reference(truth, predicted, **options)), key
    damage = {**options, "labels": [i for i in present if i]}
    expected = 100 * jaccard_score(truth, predicted, **damage)
    assert means["damage_classes_mIoU"] == pytest.approx(expected)
    binary = truth > 0, predicted > 0
    assert means["damage_IoU"] == pytest.approx(100 * jaccard_score(*binary))
    assert means["binary_mIoU"] == pytest.approx(100 * jaccard_score(*binary, average="macro"))
    group = np.array([4 if g == 255 else g for g in ARTEFACT.levels["coarse"].fine_to_group])
    inside = truth > 0  # Clean is in no group; where it is predicted, the group is missed
    expected = jaccard_score(
        group[truth][inside], group[predicted][inside], labels=range(4), average="macro"
    )
    assert means["coarse_mIoU"] == pytest.approx(100 * expected)
    assert means["aAcc"] == pytest.approx(100 * (truth == predicted).mean())


def test_image_means_equal_a_loop_over_images(random_counts):
    labels, predictions, counts = _tested(random_counts)
    scores = []
    for label, predicted in zip(labels, predictions, strict=True):
        truth, predicted = label[label != 255], predicted[label != 255]
        present = sorted(set(truth) | set(predicted))
        scores.append(100 * jaccard_score(truth, predicted, labels=present, average="macro"))
    assert image_scores(counts.confusion) == pytest.approx(scores)
    means = all_means(counts)
    assert means["image_mIoU"] == pytest.approx(np.mean(scores))
    assert means["worst_decile_mIoU"] == pytest.approx(np.mean(sorted(scores)[:3]))  # of 23
    assert worst_images(np.array(scores)).tolist() == np.argsort(scores)[:3].tolist()


def test_images_without_a_valid_pixel_do_not_count(random_counts):
    counts = random_counts(images=11)
    counts.confusion[4] = 0
    scores = image_scores(counts.confusion)
    assert np.isnan(scores[4])
    assert len(worst_images(scores)) == 1  # of ten
    valid = np.delete(scores, 4)
    assert all_means(counts)["image_mIoU"] == pytest.approx(valid.mean())
    assert all_means(counts)["worst_decile_mIoU"] == pytest.approx(valid.min())
    counts.confusion[:] = 0
    nothing = all_means(counts)
    assert all(np.isnan(nothing[key]) for key in ("mIoU", "image_mIoU", "worst_decile_mIoU"))


def test_a_resample_scores_as_the_images_it_holds(random_counts):
    counts = random_counts(images=14, own=True)
    drawn = resample_groups(counts.groups, 5, seed=3)
    means, ious = all_means(counts, drawn), class_ious(counts, drawn)
    for r, weights in enumerate(drawn.weights()):
        images = np.repeat(np.arange(14), weights)
        repeated = Counts(
            classes=counts.classes,
            palette=counts.palette,
            ids=tuple(map(str, images)),
            groups=tuple(map(str, images)),
            materials=("",) * len(images),
            contents=("",) * len(images),
            confusion=counts.confusion[images],
            levels=counts.levels,
            own_levels=counts.own_levels,
            own={name: own[images] for name, own in counts.own.items()},
            boundary=counts.boundary[images],
            skeleton=counts.skeleton[images],
            calibration=counts.calibration[images],
        )
        single = all_means(repeated)
        for key in means.keys() - {"supported_mIoU"}:  # the choice of classes stays
            assert means[key][r] == pytest.approx(single[key][0]), key
        for key, value in class_ious(repeated).items():
            assert ious[key][r] == pytest.approx(value[0], nan_ok=True), key
    assert means.keys() >= {"coarse_head_mIoU", "boundary_mF1", "mclDice", "ECE"}
    assert "binary.IoU.Damage" in ious


def test_the_worst_tenth_of_a_resample_counts_images_as_often_as_they_are_drawn(random_counts):
    counts = random_counts(images=20)
    scores = image_scores(counts.confusion)
    weights = np.ones((1, 20), dtype=np.int64)
    weights[0, np.argmin(scores)] = 6  # 25 images, the worst three are one image
    drawn = Resamples(np.arange(20), weights, 0)
    assert all_means(counts, drawn)["worst_decile_mIoU"] == pytest.approx(scores.min())
    assert math.ceil(0.1 * 25) == 3


def test_support_counts_images_and_groups_once(random_counts):
    counts = random_counts(images=6, classes=("Clean", "Peel"))
    counts.confusion[:, 1] = 0
    counts.confusion[[0, 1, 4], 1, 0] = 5  # images 0 and 1 are of one object
    found = support(counts.confusion, counts.groups)
    assert [found[key][1] for key in ("support_pixels", "images", "groups")] == [15, 3, 2]


def test_a_mean_over_supported_classes_needs_ten_groups(random_counts):
    counts = random_counts(images=24, classes=("Clean", "Peel", "Dust"))
    counts.confusion[:, 2] = 0
    counts.confusion[:18, 2, 0] = 7  # nine objects
    assert supported(counts).tolist()[2] is False
    means = pooled_means(
        counts.confusion.sum(axis=0), counts.classes, counts.levels, supported(counts)
    )
    ious = class_ious(counts)
    expected = np.mean([ious["IoU.Clean"], ious["IoU.Peel"]])
    assert means["supported_mIoU"] == pytest.approx(expected)
    assert means["mIoU"] < means["supported_mIoU"]


def test_intervals_hold_their_scores_and_are_named_alike(random_counts):
    counts = random_counts(images=60, own=True)
    intervals = confidence_intervals(counts, resamples=300)
    points = {**all_means(counts), **class_ious(counts)}
    assert intervals.keys() == points.keys()
    for key, found in intervals.items():
        if found["low"] is not None:
            assert found["low"] <= points[key][0] <= found["high"], key
    few = confidence_intervals(random_counts(images=8), resamples=50)
    assert all(found["low"] is None for found in few.values())
