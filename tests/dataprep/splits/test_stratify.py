"""Stratification gives every part its share of every label."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_heritage.dataprep.splits.stratify import stratify


def _shares(test, val):
    return (1 - test - val, test, val)


@st.composite
def problems(draw):
    """Units of 1 to 4 samples, some labels, and two to five shares."""
    units, labels = draw(st.integers(1, 30)), draw(st.integers(0, 6))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    sizes = rng.integers(1, 5, units)
    has = rng.binomial(sizes[:, None], rng.uniform(0, 1, labels), (units, labels))
    shares = rng.uniform(0.1, 1, draw(st.integers(2, 5)))
    return has, sizes, tuple(shares / shares.sum())


@given(problems())
def test_every_unit_has_a_part_and_no_part_is_empty_that_could_have_one(problem):
    labels, sizes, shares = problem
    part_of = stratify(labels, sizes, shares)
    assert len(part_of) == len(sizes)
    assert set(part_of) <= set(range(len(shares)))
    assert len(set(part_of)) == min(len(shares), len(sizes))
    assert stratify(labels, sizes, shares) == part_of


@pytest.mark.parametrize("seed", range(5))
def test_labels_and_sizes_are_near_their_shares(seed):
    rng = np.random.default_rng(seed)
    labels = (rng.random((400, 8)) < [0.9, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.02]).astype(int)
    sizes = np.ones(400, dtype=int)
    for shares in (_shares(0.15, 0.15), (0.2,) * 5):
        part_of = np.array(stratify(labels, sizes, shares))
        for part, share in enumerate(shares):
            found = labels[part_of == part].sum(axis=0)
            # 400 samples with 8 labels: within two samples, or a tenth, of the share.
            assert np.all(abs(found - share * labels.sum(axis=0)) <= 2 + 0.1 * found)
            assert abs((part_of == part).sum() - share * 400) <= 10


@pytest.mark.parametrize(
    ("holders", "parts"), [(1, {0}), (2, {0, 1}), (3, {0, 1, 2}), (9, {0, 1, 2})]
)
def test_a_rare_label_reaches_as_many_parts_as_it_can(holders, parts):
    labels = np.array([[1]] * holders + [[0]] * 40)
    part_of = stratify(labels, np.ones(len(labels), dtype=int), _shares(0.15, 0.15))
    assert set(part_of[:holders]) == parts


def test_large_units_are_placed_before_small_ones_can_be_in_their_way():
    sizes = np.array([1] * 10 + [10])
    part_of = stratify(np.zeros((11, 0), dtype=int), sizes, (0.5, 0.5))
    assert len(set(part_of[:10])) == 1
    assert part_of[10] != part_of[0]
