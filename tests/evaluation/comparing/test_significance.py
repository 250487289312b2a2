"""p values are uniform where nothing differs, and Holm's correction is that of the paper."""

import itertools

import numpy as np
import pytest
from scipy.stats import kstest

from mmseg_heritage.evaluation.comparing.bootstrap import resample_groups
from mmseg_heritage.evaluation.comparing.significance import (
    ALPHA,
    holm,
    paired_difference,
    paired_p,
    with_holm,
)
from mmseg_heritage.evaluation.counts.confusion import class_scores

GROUPS = [str(i // 2) for i in range(160)]


def _iou_counts(found, pixels):
    """Returns counts of two classes, of which the second has ``found`` of ``pixels`` right."""
    zero = np.zeros_like(pixels)
    return np.stack([pixels, zero, pixels - found, found], axis=-1).reshape(-1, 2, 2)


def _compare(a, b, seed=0):
    resamples = resample_groups(GROUPS, 400, seed)
    of = [class_scores(resamples.totals(counts))["iou"][:, 1] for counts in (a, b)]
    on_all = [class_scores(counts.sum(axis=0))["iou"][1] for counts in (a, b)]
    return paired_difference(resamples, on_all[1] - on_all[0], of[1] - of[0])


def _two_models(generator, gain=0.0):
    """Draws two models on images that are hard or easy for both; they differ by chance and gain."""
    number = len(set(GROUPS))
    pixels = generator.integers(500, 5000, len(GROUPS))
    hard = np.repeat(generator.uniform(0.2, 0.8, number), 2)
    counts = []
    for shift in (0.0, gain):
        of_group = np.repeat(generator.normal(shift, 0.08, number), 2)
        recall = np.clip(hard + of_group + generator.normal(0, 0.02, len(GROUPS)), 0, 1)
        counts.append(_iou_counts(np.rint(recall * pixels).astype(np.int64), pixels))
    return counts


def test_p_values_are_uniform_where_nothing_differs():
    generator = np.random.default_rng(5)
    p = np.array([_compare(*_two_models(generator), seed)["p"] for seed in range(300)])
    assert kstest(p, "uniform").pvalue > 0.05
    assert 0.02 <= (p < 0.05).mean() <= 0.09
    assert 0.06 <= (p < 0.10).mean() <= 0.15


def test_pairing_sees_a_gain_that_the_intervals_of_the_two_hide():
    a, b = _two_models(np.random.default_rng(0), gain=0.06)
    resamples = resample_groups(GROUPS, 1000)
    first, second = (
        resamples.interval(class_scores(resamples.totals(counts))["iou"][:, 1]) for counts in (a, b)
    )
    assert first["high"] > second["low"]  # they overlap
    found = _compare(a, b)
    assert found["low"] > 0
    assert found["p"] < 0.01
    swapped = _compare(b, a)
    assert swapped["difference"] == pytest.approx(-found["difference"])
    assert swapped["high"] == pytest.approx(-found["low"])
    assert swapped["p"] == found["p"]


def test_p_goes_with_the_interval():
    generator = np.random.default_rng(1)
    for seed in range(40):
        found = _compare(*_two_models(generator, gain=0.02), seed)
        outside = found["low"] > 0 or found["high"] < 0
        if abs(found["p"] - ALPHA) > 0.01:  # the percentile lies between two resamples
            assert outside == (found["p"] < ALPHA)


def test_p_by_hand():
    assert paired_p(np.array([1.0, 2.0, 3.0])) == 2 * 1 / 4
    assert paired_p(np.array([-1.0, 2.0, 3.0, np.nan])) == 1.0
    assert paired_p(np.arange(1.0, 2000)) == pytest.approx(0.001)  # never 0
    assert paired_p(np.zeros(50)) == 1.0
    assert np.isnan(paired_p(np.full(3, np.nan)))


def test_holm_by_hand():
    # Sorted: .01 x 4, .02 x 3, .03 x 2 (not below the one before), .04 x 1 (likewise).
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.6]).tolist() == [1.0, 1.0]
    corrected = holm([0.02, np.nan, 0.03])  # a question that was not asked does not count
    assert corrected[[0, 2]].tolist() == pytest.approx([0.04, 0.04])
    assert np.isnan(corrected[1])
    assert holm([]).size == 0


@pytest.mark.parametrize("seed", range(20))
def test_holm_equals_the_closed_test_of_bonferroni(seed):
    # Marcus, Peritz and Gabriel 1976: a question is answered when every set of questions that has
    # it is rejected; with Bonferroni's test for each set that is Holm's rule.
    generator = np.random.default_rng(seed)
    p = np.round(generator.uniform(0, 0.3, 6), 2)  # ties among them
    sets = [s for n in range(1, 7) for s in itertools.combinations(range(6), n)]
    expected = [max(min(1, len(s) * p[list(s)].min()) for s in sets if i in s) for i in range(6)]
    assert holm(p) == pytest.approx(expected)


def test_holm_keeps_false_alarms_below_the_level():
    generator = np.random.default_rng(0)
    alarms = [(holm(generator.uniform(size=16)) < ALPHA).any() for _ in range(2000)]
    assert 0.03 < np.mean(alarms) < 0.065
    uncorrected = [(generator.uniform(size=16) < ALPHA).any() for _ in range(2000)]
    assert np.mean(uncorrected) > 0.5


def test_a_family_says_what_is_separable():
    resamples = resample_groups([str(i) for i in range(30)], 999)
    few = np.arange(30) < 5
    rng = np.random.default_rng(0)
    clear, vague = rng.normal(5, 1, 999), rng.normal(0, 1, 999)
    family = with_holm(
        [
            paired_difference(resamples, 5.0, clear),
            paired_difference(resamples, 0.0, vague),
            paired_difference(resamples, 5.0, clear, few),
            paired_difference(resamples, float("nan"), np.full(999, np.nan)),
        ]
    )
    assert [entry["separable"] for entry in family] == [True, False, None, None]
    assert family[0]["p_holm"] == pytest.approx(2 * family[0]["p"])  # two questions, not four
    assert family[2]["p"] is None
    assert "fewer than 10" in family[2]["note"]
    assert family[3]["difference"] is None
