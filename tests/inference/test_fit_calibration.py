"""Fitting finds the temperature, and the vectors, that labels were drawn with."""

import pytest
import torch

from mmseg_heritage.inference.fit_calibration import TEMPERATURE, VECTOR, cross_fitted, fit
from mmseg_heritage.scores.class_calibration import ClassCalibration


def drawn(arguments, pixels=40_000, classes=3, seed=0):
    """Returns logarithms, and labels drawn by their calibrated probabilities."""
    generator = torch.Generator().manual_seed(seed)
    logs = (3 * torch.randn(pixels, classes, generator=generator)).log_softmax(dim=1)
    true = ClassCalibration(classes, **arguments)(logs.T).T.exp()
    return logs, torch.multinomial(true, 1, generator=generator)[:, 0]


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature):
    logs, labels = drawn({"temperature": temperature})
    assert fit(TEMPERATURE, logs, labels)["temperature"] == pytest.approx(temperature, rel=0.05)


def test_known_vectors_are_found():
    true = {"scale": [0.5, 1.0, 1.5], "bias": [0.6, 0.0, -0.6]}
    logs, labels = drawn(true)
    found = fit(VECTOR, logs, labels)
    assert found["scale"] == pytest.approx(true["scale"], abs=0.2)
    shift = found["bias"][1]
    assert [b - shift for b in found["bias"]] == pytest.approx(true["bias"], abs=0.1)


def test_a_faultless_model_has_a_temperature_within_bounds():
    logs = torch.eye(3).mul(9).log_softmax(dim=1)
    assert 0.04 < fit(TEMPERATURE, logs, torch.arange(3))["temperature"] < 1


def test_a_class_without_labels_gets_no_bias():
    logs, labels = drawn({"temperature": 2.0}, pixels=2000)
    found = fit(VECTOR, logs, labels.clamp(max=1))
    assert found["bias"][2] == 0


def test_no_pixel_is_calibrated_by_its_own_fold():
    logs, labels = drawn({"temperature": 1.0}, pixels=600)
    folds = torch.arange(600) % 2
    fitted = [fit(TEMPERATURE, logs[folds != fold], labels[folds != fold]) for fold in (0, 1)]

    def calibrate(arguments, values):
        return values / arguments["temperature"]

    found = cross_fitted(TEMPERATURE, logs, labels, folds, calibrate)
    for fold, arguments in enumerate(fitted):
        own = folds == fold
        assert torch.allclose(found[own], calibrate(arguments, logs[own]))
