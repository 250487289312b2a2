"""numpy computes what torch does."""

import numpy as np
import pytest
import torch

from mmseg_heritage.scores import arrays

VALUES = np.random.default_rng(0).normal(0, 8, (5, 7, 9)).astype(np.float32)
IDS = VALUES.argmax(axis=0).astype(np.uint8)
BELOW, ABOVE = np.array([0, 0, 3, 6]), np.array([1, 1, 4, 6])
SHARE = np.array([0, 0.25, 0.5, 0], np.float32)
FUNCTIONS = {
    "empty": lambda v: arrays.empty((0, 3), v),
    "copied": arrays.copied,
    "concat": lambda v: arrays.concat([v, v[..., :2]], -1),
    "mean_of": lambda v: arrays.mean_of([v, 2 * v, v]),
    "flipped": lambda v: arrays.flipped(v, (-1, -2)),
    "exp": arrays.exp,
    "log_of_positive": arrays.log_of_positive,
    "sigmoid": lambda v: arrays.sigmoid(20 * v),
    "softmax": lambda v: arrays.softmax(v, 0),
    "log_softmax": lambda v: arrays.log_softmax(v, 0),
    "softmax_of_chosen": lambda v: arrays.softmax_of_chosen(v, arrays.like(IDS, v)),
    "where": lambda v: arrays.where(v > 0, v, 255),
    "looked_up": lambda v: arrays.looked_up(np.arange(5) * 3, arrays.like(IDS, v)),
    "as_bytes": lambda v: arrays.as_bytes(arrays.softmax(v, 0)),
    "between": lambda v: arrays.between(v, BELOW, ABOVE, SHARE, 1),
    "largest": lambda v: arrays.largest(arrays.like(np.rint(VALUES / 4), v)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_kinds_give_the_same(name):
    expected = FUNCTIONS[name](torch.from_numpy(VALUES.copy()))
    found = FUNCTIONS[name](VALUES.copy())
    assert isinstance(found, np.ndarray)
    assert found.dtype == expected.numpy().dtype
    np.testing.assert_allclose(found, expected.numpy(), rtol=2e-5, atol=1e-7)


def test_in_place_nan_and_ranges():
    for make in (np.array, torch.tensor):
        sums = make(VALUES.tolist())
        arrays.add_product(sums[:, 2:4], make(2.0), make(3.0))
        assert np.allclose(np.asarray(sums)[:, 2:4], VALUES[:, 2:4] + 6)
        low, high = arrays.ranges(make(VALUES.tolist()))
        assert np.allclose(low, VALUES.min((1, 2)))
        assert np.allclose(high, VALUES.max((1, 2)))
        assert not arrays.has_nan(sums)
        sums[0, 0, 0] = float("nan")
        assert arrays.has_nan(sums)
