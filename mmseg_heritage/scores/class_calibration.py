"""Probabilities of the classes that are as sure as they are right: temperature and vector scaling.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.scores.arrays import Array, like, log_softmax


class ClassCalibration:
    r"""Scales the logarithms of the probabilities of the classes, and normalizes them again.

    With the probabilities p of the classes of a pixel: temperature scaling gives
    :math:`\mathrm{softmax}(\log p / T)`, of which the largest is that of p; vector scaling gives
    :math:`\mathrm{softmax}(w \log p + b)` with a weight and a bias for each class, of which another
    one may be the largest.

    Args:
        num_classes: Number C of classes.
        temperature: T, above 0: above 1 the model becomes less sure.
        scale: w, one number above 0 for each class; with ``bias``, in place of ``temperature``.
        bias: b, one number for each class.

    Raises:
        InputError: With all that is wrong with the arguments.
    """

    def __init__(
        self,
        num_classes: int,
        temperature: float | None = None,
        scale: Sequence[float] | None = None,
        bias: Sequence[float] | None = None,
    ) -> None:
        if problems := _problems(num_classes, temperature, scale, bias):
            raise InputError("model.calibration cannot be used", problems)
        self.keeps_classes = temperature is not None
        weights = [1 / temperature] * num_classes if temperature is not None else scale
        self._scale = np.array(weights, np.float32)
        self._bias = np.array(bias or [0.0] * num_classes, np.float32)

    def __call__(self, logs: Array) -> Any:
        """Returns the logarithms of calibrated probabilities.

        Args:
            logs: Logarithms of probabilities (C, ...); what is added to all of a pixel does not
                matter.
        """
        shape = (-1, *(1 for _ in logs.shape[1:]))
        scale, bias = (like(values.reshape(shape), logs) for values in (self._scale, self._bias))
        return log_softmax(log_softmax(logs, 0) * scale + bias, 0)


def _problems(num_classes: int, temperature: Any, scale: Any, bias: Any) -> list[str]:
    """Says what is wrong with the arguments of :class:`ClassCalibration`."""
    if (temperature is None) == (scale is None) or (scale is None) != (bias is None):
        return ["expected temperature, or scale and bias"]
    if temperature is not None:
        right = _is_number(temperature) and temperature > 0
        return [] if right else [f"temperature={temperature!r}, expected a number above 0"]
    problems = []
    for name, values in (("scale", scale), ("bias", bias)):
        is_list = isinstance(values, (list, tuple)) and all(map(_is_number, values))
        if not is_list or len(values) != num_classes:
            problems.append(f"{name}={values!r}, expected a number for each of {num_classes}")
        elif name == "scale" and min(values) <= 0:
            problems.append(f"scale={values!r}, expected numbers above 0")
    return problems


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
