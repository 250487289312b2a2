"""Scalars that a device computes: read all at once, so that the process seldom waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch


def is_waited_for(values: Mapping[str, Any]) -> bool:
    """Returns whether reading any of these values would wait for a device to compute it."""
    return any(map(_waits, values.values()))


def fetched(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Reads the values of many iterations in one copy.

    Args:
        steps: Values of each iteration, such as losses by name: tensors of one element, or numbers.

    Returns:
        The same with a Python number for each tensor, equal to its ``item()``.
    """
    waiting = [value for step in steps for value in step.values() if _waits(value)]
    exact = reduce(torch.promote_types, (value.dtype for value in waiting), torch.float32)
    numbers = iter(
        torch.stack([value.detach().reshape(()).to(exact) for value in waiting]).tolist()
        if waiting
        else []
    )
    return [
        {name: next(numbers) if _waits(value) else _number(value) for name, value in step.items()}
        for step in steps
    ]


def _waits(value: object) -> bool:
    if not isinstance(value, torch.Tensor):
        return False
    return value.is_floating_point() and value.device.type != "cpu"


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value
