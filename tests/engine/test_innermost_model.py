"""The model below what wraps it."""

from types import SimpleNamespace

import torch

from mmseg_heritage.engine.innermost_model import innermost_model


def test_any_number_of_wrappers_is_taken_off():
    model = torch.nn.Linear(1, 1)
    assert innermost_model(model) is model
    assert innermost_model(SimpleNamespace(module=SimpleNamespace(module=model))) is model
