"""Intervals hold the truth as often as they say, and only groups are what may be drawn."""

import numpy as np
import pytest

from mmseg_heritage.evaluation.comparing.bootstrap import (
    LEVEL,
    MIN_GROUPS,
    Resamples,
    percentiles,
    resample_groups,
)
from mmseg_heritage.evaluation.counts.confusion import class_scores, mean_over_present

TRIALS, GROUPS, IMAGES = 300, 60, 4
RECALL, FALSE, CLEAN = 0.6, 0.4, 4.0
"""Of the simulated test sets: mean recall, false pixels for each true one, clean ones likewise."""
TRUE_IOU = RECALL / (1 + FALSE)
TRUE_MIOU = (TRUE_IOU + CLEAN / (CLEAN + 1 - RECALL + FALSE)) / 2


def _test_set(generator):
    """Draws the counts of photographs, of which those of a group are alike.

    Returns:
        int64 (N, 2, 2) and the names of the groups. Counted over all photographs that there could
        be, the IoU of class 1 is ``TRUE_IOU`` and the mean over both classes ``TRUE_MIOU``.
    """
    group = np.repeat(np.arange(GROUPS), IMAGES)
    recall = generator.beta(3 * RECALL, 3 * (1 - RECALL), GROUPS)[group]
    false = generator.gamma(2, FALSE / 2, GROUPS)[group]
    pixels = np.rint(generator.lognormal(0, 0.5, GROUPS)[group] * generator.uniform(
        1e5, 3e5, len(group)
    )).astype(np.int64)  # fmt: skip
    found = np.rint(recall * pixels).astype(np.int64)
    mistaken = np.rint(false * pixels).astype(np.int64)
    clean = np.rint(CLEAN * pixels).astype(np.int64)
    confusion = np.stack([clean, mistaken, pixels - found, found], axis=-1).reshape(-1, 2, 2)
    return confusion, [f"group {i}" for i in group]


def _holds(interval, truth):
    return interval["low"] <= truth <= interval["high"]


@pytest.fixture(scope="module")
def coverage():
    """Shares of simulated test sets whose intervals hold the truth, by what was drawn."""
    generator = np.random.default_rng(20261121)
    held = {"groups": 0, "mean": 0, "images": 0, "pixels": 0}
    for trial in range(TRIALS):
        confusion, groups = _test_set(generator)
        each = [str(i) for i in range(len(groups))]
        for unit, names in (("groups", groups), ("images", each)):
            resamples = resample_groups(names, 400, seed=trial)
            iou = class_scores(resamples.totals(confusion))["iou"]
            held[unit] += _holds(resamples.interval(iou[:, 1]), TRUE_IOU)
            if unit == "groups":
                mean = resamples.interval(mean_over_present(iou)[0])
                held["mean"] += _holds(mean, TRUE_MIOU)
        pooled = confusion.sum(axis=0)
        shares = pooled.ravel() / pooled.sum()
        drawn = generator.multinomial(int(pooled.sum()), shares, 400).reshape(-1, 2, 2)
        low, high = percentiles(class_scores(drawn)["iou"][:, 1])
        held["pixels"] += low <= TRUE_IOU <= high
    return {unit: 100 * number / TRIALS for unit, number in held.items()}


@pytest.mark.slow
def test_intervals_over_groups_hold_the_truth_as_often_as_they_say(coverage):
    assert LEVEL == 95
    assert 92 <= coverage["groups"] <= 98, coverage
    assert 92 <= coverage["mean"] <= 98, coverage


def test_intervals_over_images_or_pixels_would_not(coverage):
    assert coverage["images"] < 75, coverage
    assert coverage["pixels"] < 10, coverage


def test_resamples_are_sums_over_the_groups_that_were_drawn():
    generator = np.random.default_rng(0)
    groups = ["b", "a", "c", "a", "b", "b"]
    confusion = generator.integers(0, 10**9, (6, 3, 3))
    resamples = resample_groups(groups, 50, seed=3)
    assert resamples.drawn.shape == (50, 3)
    assert (resamples.drawn.sum(axis=1) == 3).all()
    assert len(np.unique(resamples.drawn, axis=0)) > 5
    totals = resamples.totals(confusion)
    for total, drawn, weights in zip(totals, resamples.drawn, resamples.weights(), strict=True):
        times = dict(zip("abc", drawn.tolist(), strict=True))
        expected = sum(times[g] * image for g, image in zip(groups, confusion, strict=True))
        assert np.array_equal(total, expected)  # exact, though in float64
        assert weights.tolist() == [times[g] for g in groups]


def test_the_draws_depend_on_the_groups_and_the_seed_alone():
    groups = [f"object {i}" for i in range(30)]
    order = np.random.default_rng(0).permutation(30)
    confusion = np.random.default_rng(1).integers(0, 1000, (30, 2, 2))
    totals = resample_groups(groups, 20).totals(confusion)
    shuffled = resample_groups([groups[i] for i in order], 20).totals(confusion[order])
    assert np.array_equal(totals, shuffled)
    assert not np.array_equal(totals, resample_groups(groups, 20, seed=1).totals(confusion))


def test_the_interval_is_that_of_the_formula_for_a_mean():
    values = np.random.default_rng(0).normal(size=400)
    resamples = resample_groups([str(i) for i in range(400)], 4000)
    found = resamples.interval(resamples.totals(values) / 400)
    half = 1.96 * values.std() / 20
    assert found["low"] == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found["high"] == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_a_class_absent_from_a_resample_is_left_out_of_its_mean_and_interval():
    confusion = np.zeros((40, 2, 2), dtype=np.int64)
    confusion[:, 0, 0] = 30
    confusion[:2, 1] = (5, 15)
    resamples = resample_groups([str(i) for i in range(40)], 2000)
    iou = class_scores(resamples.totals(confusion))["iou"]
    absent = np.isnan(iou[:, 1])
    assert absent.mean() == pytest.approx((1 - 2 / 40) ** 40, abs=0.03)
    assert np.array_equal(mean_over_present(iou)[0][absent], iou[absent, 0])
    found = resamples.interval(iou[:, 1])
    assert found["resamples"] == 2000 - absent.sum()
    assert found["low"] == found["high"] == pytest.approx(15 / 20)  # both of the two are alike


def test_few_groups_give_a_reason_instead_of_an_interval():
    images = 3 * MIN_GROUPS
    resamples = resample_groups([f"{i // 3}" for i in range(images)], 100)
    scores = np.linspace(0, 1, 100)
    assert resamples.interval(scores)["low"] is not None
    has = np.arange(images) < images - 3  # one group less, though many images
    found = resamples.interval(scores, has)
    assert found["low"] is None
    assert found["high"] is None
    assert found["note"] == "no interval: 9 source groups, fewer than 10"


def test_a_score_that_no_resample_has():
    resamples = resample_groups([str(i) for i in range(20)], 50)
    found = resamples.interval(np.full(50, np.nan))
    assert found["low"] is None
    assert found["resamples"] == 0
    assert found["note"] == "no interval: undefined in every resample"


@pytest.mark.parametrize(("groups", "number"), [([], 10), (["a"], 0)])
def test_nothing_to_draw_is_refused(groups, number):
    with pytest.raises(ValueError, match="expected images and resamples"):
        resample_groups(groups, number)


def test_one_group_is_always_the_same():
    resamples = resample_groups(["a", "a"], 5)
    assert isinstance(resamples, Resamples)
    assert (resamples.totals(np.array([1.0, 2.0])) == 3).all()
