"""Finding the temperature, or a weight and a bias for each class, of a calibration.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", ICML 2017, section 4.2:
the mean negative log-likelihood of held-out pixels is minimized by L-BFGS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURE, VECTOR = METHODS = ("temperature", "vector")
_WIDEST = 3.0  # logarithm of the largest temperature, and minus that of the smallest one
_RIDGE = 1e-3  # keeps what few pixels tell near the temperature
_STEPS = 60


def fit(method: str, logs: Tensor, labels: Tensor) -> dict[str, Any]:
    """Returns the arguments of a ``ClassCalibration`` that fit to held-out pixels.

    Args:
        method: One of :data:`METHODS`.
        logs: Logarithms of probabilities of the classes, float32 (N, C).
        labels: Classes, int64 (N,).
    """
    logs = logs.log_softmax(dim=1)
    return _temperature(logs, labels) if method == TEMPERATURE else _vector(logs, labels)


def _temperature(logs: Tensor, labels: Tensor) -> dict[str, Any]:
    slope = torch.zeros(1, requires_grad=True)
    _minimize(slope, lambda: functional.cross_entropy(logs * _factor(slope), labels))
    return {"temperature": float(1 / _factor(slope).detach())}


def _vector(logs: Tensor, labels: Tensor) -> dict[str, Any]:
    """Classes without a labeled pixel get the mean temperature and no bias."""
    classes = logs.shape[1]
    shown = (torch.bincount(labels, minlength=classes) > 0).float()
    values = torch.zeros(1 + 2 * classes, requires_grad=True)

    def parts() -> tuple[Tensor, Tensor, Tensor]:
        own = values[1:].view(2, classes) * shown
        return _factor(values[:1]) * own[0].exp(), own[1], own

    def loss() -> Tensor:
        scale, bias, own = parts()
        return functional.cross_entropy(logs * scale + bias, labels) + _RIDGE * own.square().sum()

    _minimize(values, loss)
    with torch.no_grad():
        scale, bias, _ = parts()
    return {"scale": scale.tolist(), "bias": bias.tolist()}


def _factor(slope: Tensor) -> Tensor:
    """Returns 1 / T for any number, with T within bounds: of a faultless model it would be 0."""
    return (_WIDEST * (slope / _WIDEST).tanh()).exp()


def _minimize(values: Tensor, loss: Callable[[], Tensor]) -> None:
    optimizer = torch.optim.LBFGS([values], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        found = loss()
        found.backward()
        return found

    optimizer.step(closure)


def cross_fitted(
    method: str,
    logs: Tensor,
    labels: Tensor,
    folds: Tensor,
    calibrate: Callable[[Mapping[str, Any], Tensor], Tensor],
) -> Tensor:
    """Returns calibrated logarithms of which each was fitted without the pixels of its own fold.

    Args:
        method: One of :data:`METHODS`.
        logs: float32 (N, C).
        labels: int64 (N,).
        folds: Number of the fold of each pixel, int64 (N,); two or more.
        calibrate: Applies what :func:`fit` returns to logarithms.
    """
    found = torch.empty_like(logs)
    for fold in folds.unique():
        own = folds == fold
        found[own] = calibrate(fit(method, logs[~own], labels[~own]), logs[own])
    return found
