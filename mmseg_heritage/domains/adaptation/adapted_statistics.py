"""BatchNorm with the statistics of the image that is looked at, or with some of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms(model: torch.nn.Module) -> list[Any]:
    """Returns the BatchNorm layers that keep statistics, SyncBN among them."""
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None
    ]


@contextlib.contextmanager
def adapted_statistics(layers: Sequence[Any], share: float) -> Iterator[None]:
    """Normalizes by a mix of trained statistics and those of the input, which carry gradients.

    With the trained mean and variance m, v and those of the input over images and places m', v'
    (by n), layers use (1 - share) m + share m' and (1 - share) v + share v'. Afterwards the layers
    keep those of their last input. A layer whose input has one value for a channel keeps its own:
    one value has no variance.

    Args:
        layers: See :func:`batch_norms`; in eval mode, with the trained statistics.
        share: 0..1.
    """
    trained = [(layer.running_mean.clone(), layer.running_var.clone()) for layer in layers]
    seen: dict[int, tuple[Tensor, Tensor]] = {}

    def normalized(place: int, values: Tensor) -> Tensor:
        layer, (mean, variance) = layers[place], trained[place]
        dims = [0, *range(2, values.dim())]
        if values.numel() > values.shape[1]:
            found = values.var(dim=dims, unbiased=False), values.mean(dim=dims)
            variance = (1 - share) * variance + share * found[0]
            mean = (1 - share) * mean + share * found[1]
        seen[place] = mean.detach(), variance.detach()
        shape = (1, -1, *(1 for _ in dims[1:]))
        scaled = (values - mean.view(shape)) * (variance + layer.eps).rsqrt().view(shape)
        if layer.affine:
            scaled = scaled * layer.weight.view(shape) + layer.bias.view(shape)
        for name in ("drop", "act"):  # timm's BatchNormAct2d holds what follows it
            scaled = getattr(layer, name, _unchanged)(scaled)
        return scaled

    for place, layer in enumerate(layers):
        layer.forward = partial(normalized, place)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
        with torch.no_grad():
            for place, (mean, variance) in seen.items():
                layers[place].running_mean.copy_(mean)
                layers[place].running_var.copy_(variance)


def _unchanged(values: Tensor) -> Tensor:
    return values
