"""Calibrated probabilities against the formulas, with numpy and scipy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from torch import nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.scores.class_calibration import ClassCalibration
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.taxonomy import FINE_LEVEL


def scores(seed, classes=4):
    generator = torch.Generator().manual_seed(seed)
    return 4 * torch.randn(classes, 5, 6, generator=generator)


@given(st.integers(0, 10**6), st.floats(0.1, 10))
def test_a_temperature_divides_and_keeps_the_order(seed, temperature):
    logs = scores(seed)
    found = ClassCalibration(4, temperature)(logs)
    expected = log_softmax(logs.double().numpy() / temperature, axis=0)
    assert found.numpy() == pytest.approx(expected, abs=1e-4)
    assert torch.equal(ClassCalibration(4, 1.0)(logs + 3.0), ClassCalibration(4, 1.0)(logs + 3.0))


@given(st.integers(0, 10**6))
def test_vector_scaling_weighs_and_shifts(seed):
    logs, random = scores(seed), np.random.default_rng(seed)
    scale, bias = random.uniform(0.2, 3, 4).tolist(), random.normal(size=4).tolist()
    found = ClassCalibration(4, scale=scale, bias=bias)(logs)
    normalized = log_softmax(logs.double().numpy(), axis=0)
    expected = log_softmax(
        normalized * np.array(scale)[:, None, None] + np.array(bias)[:, None, None], axis=0
    )
    assert found.numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"temperature": 0},
        {"temperature": "2"},
        {"temperature": float("nan")},
        {"temperature": 1.0, "scale": [1.0, 1.0], "bias": [0.0, 0.0]},
        {"scale": [1.0, 1.0]},
        {"scale": [1.0], "bias": [0.0, 0.0]},
        {"scale": [1.0, -1.0], "bias": [0.0, 0.0]},
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments):
    with pytest.raises(InputError, match="calibration"):
        ClassCalibration(2, **arguments)


def head(channels, **attributes):
    found = nn.Module()
    found.out_channels, found.threshold = channels, 0.3
    for name, value in attributes.items():
        setattr(found, name, value)
    return HeadScores(found)


def test_scores_of_a_head_without_calibration_stay():
    logs = scores(0)
    assert head(4).calibrated(logs) is logs
    assert not head(4, calibration=ClassCalibration(4, 2.0)).moves_classes


def test_a_head_with_one_channel_keeps_its_threshold():
    raw = scores(1, 1)[None]
    plain, warm = head(1), head(1, calibration=ClassCalibration(2, 2.0))
    logs = plain.logs(plain.probabilities(raw)[0])
    probability = (raw[0, 0] / 2).sigmoid()
    ids = plain.maps(logs)[FINE_LEVEL]
    assert torch.equal(ids == 1, raw[0, 0].sigmoid() > 0.3)
    sure = warm.confidence(warm.calibrated(logs), ids)
    expected = torch.where(ids == 1, probability, 1 - probability)
    assert torch.allclose(sure / 255, expected, atol=1 / 255)
    assert torch.allclose(plain.class_logs(logs)[1], raw[0, 0].sigmoid().log(), atol=1e-5)
