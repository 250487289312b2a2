"""Scalars of a device, read at once. Tensors of the CPU stand in for those of a device."""

import pytest
import torch

from mmseg_heritage.engine import device_scalars
from mmseg_heritage.engine.device_scalars import fetched, is_waited_for


@pytest.mark.parametrize("is_on_device", [False, True])
def test_values_are_those_of_item(monkeypatch, is_on_device):
    if is_on_device:
        monkeypatch.setattr(device_scalars, "_waits", torch.is_tensor)
    generator = torch.Generator().manual_seed(0)
    third = torch.rand(1, generator=generator)
    steps = [
        {"loss": torch.rand((), generator=generator, requires_grad=True), "count": 3},
        {},
        {"loss": third.half(), "other": torch.tensor([float("nan")], dtype=torch.bfloat16)},
    ]
    found = fetched(steps)
    assert found[:2] == [{"loss": steps[0]["loss"].item(), "count": 3}, {}]
    assert found[2]["loss"] == third.half().item()
    assert found[2]["other"] != found[2]["other"]
    assert all(type(value) in (int, float) for step in found for value in step.values())


def test_doubles_stay_exact(monkeypatch):
    monkeypatch.setattr(device_scalars, "_waits", torch.is_tensor)
    exact = torch.tensor(1 / 3, dtype=torch.float64)
    assert fetched([{"a": torch.tensor(0.1), "b": exact}]) == [
        {"a": torch.tensor(0.1).item(), "b": 1 / 3}
    ]


def test_only_floating_tensors_of_a_device_are_waited_for():
    there = torch.zeros((), device="meta")
    assert is_waited_for({"a": 1.0, "b": there})
    assert not is_waited_for({"a": 1.0, "b": torch.zeros(())})
    assert not is_waited_for({"a": there.long()})
    assert not is_waited_for({})
