"""Risk over coverage by accepting pixels one after the other."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_heritage.evaluation.counts.risk_coverage import (
    area_under_risk_coverage,
    risk_coverage,
)

PIXELS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=5)


def columns(pixels):
    confidence, right = zip(*pixels, strict=True)
    return np.array(confidence) / 4, np.array(right)


@given(PIXELS)
def test_the_curve_accepts_the_surest_pixels(pixels):
    confidence, right = columns(pixels)
    coverage, risk = risk_coverage(confidence, right)
    for limit, share, wrong in zip(sorted(set(confidence))[::-1], coverage, risk, strict=True):
        accepted = confidence >= limit
        assert share == pytest.approx(accepted.mean())
        assert wrong == pytest.approx((~right[accepted]).mean())


@given(PIXELS)
def test_the_area_is_the_mean_over_all_orders_of_equal_ones(pixels):
    confidence, right = columns(pixels)
    areas = []
    for order in itertools.permutations(range(len(pixels))):
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order)):
            wrong = (~right[list(order)]).cumsum()
            areas.append((wrong / np.arange(1, len(order) + 1)).mean())
    assert area_under_risk_coverage(confidence, right) == pytest.approx(np.mean(areas))


def test_no_pixel_has_no_area():
    assert np.isnan(area_under_risk_coverage(np.zeros(0), np.zeros(0, bool)))
    assert [len(part) for part in risk_coverage(np.zeros(0), np.zeros(0, bool))] == [0, 0]
