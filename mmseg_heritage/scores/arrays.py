"""What the window engine does with arrays, of numpy or of torch.

Each function takes the one kind or the other and gives the same kind. torch is imported only where
there are tensors. numpy computes what torch does, to the last bits of float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Array: TypeAlias = "np.ndarray | Tensor"
"""An array of numpy or a tensor of torch."""

FLIPS = {"horizontal": (-1,), "vertical": (-2,), "diagonal": (-2, -1)}
"""Mirror images, by mmcv's names, and the dimensions that they turn around."""


def is_numpy(values: Any) -> bool:
    """Whether this is no tensor of torch."""
    return isinstance(values, np.ndarray)


def like(values: np.ndarray, other: Array) -> Any:
    """Returns numbers of numpy as the other's kind, on its device; their type stays."""
    if is_numpy(other):
        return values
    import torch

    return torch.from_numpy(values).to(other.device)


def empty(shape: Sequence[int], other: Array) -> Any:
    """Returns an array of the other's kind, type and device, of any content."""
    if isinstance(other, np.ndarray):
        return np.empty(shape, other.dtype)
    return other.new_empty(*shape)


def empty_on_cpu(shape: Sequence[int], other: Array) -> Any:
    """Returns an array of the other's kind and type in the CPU's memory, of any content."""
    if isinstance(other, np.ndarray):
        return np.empty(shape, other.dtype)
    import torch

    return torch.empty(*shape, dtype=other.dtype)


def copied(values: Array) -> Any:
    """Returns a copy."""
    return values.copy() if isinstance(values, np.ndarray) else values.clone()


def concat(parts: Sequence[Array], dim: int = 0) -> Any:
    """Puts arrays one after the other along a dimension."""
    if is_numpy(parts[0]):
        return np.concatenate(parts, dim)
    import torch

    return torch.cat(list(parts), dim)


def mean_of(parts: Sequence[Array]) -> Any:
    """Returns the mean of arrays of one shape."""
    if is_numpy(parts[0]):
        return np.mean(parts, axis=0, dtype=np.float32)
    import torch

    return torch.stack(list(parts)).mean(dim=0)


def add_product(into: Array, factor: Array, other: Array) -> None:
    """Adds a product to an array, in place."""
    if isinstance(into, np.ndarray):
        into += factor * other
    else:
        into.addcmul_(factor, other)


def has_nan(values: Array) -> bool:
    """Whether any value is NaN: the largest is then."""
    if isinstance(values, np.ndarray):
        return bool(np.isnan(values.max()))
    return bool(values.amax().isnan())


def flipped(values: Array, dims: Sequence[int]) -> Any:
    """Turns dimensions around."""
    return np.flip(values, tuple(dims)) if isinstance(values, np.ndarray) else values.flip(dims)


def exp(values: Array) -> Any:
    """Returns exponentials."""
    return np.exp(values) if isinstance(values, np.ndarray) else values.exp()


def log_of_positive(values: Array) -> Any:
    """Returns logarithms; of what is below the smallest normal number, its logarithm."""
    if isinstance(values, np.ndarray):
        return np.log(np.maximum(values, np.finfo(values.dtype).tiny))
    import torch

    return values.clamp(min=torch.finfo(values.dtype).tiny).log_()


def sigmoid(values: Array) -> Any:
    """Returns 1 / (1 + exp(-x))."""
    if isinstance(values, np.ndarray):
        return np.exp(-np.logaddexp(0, -values))
    return values.sigmoid()


def softmax(values: Array, dim: int) -> Any:
    """Returns exponentials divided by their sum along a dimension."""
    if isinstance(values, np.ndarray):
        found = np.exp(values - values.max(axis=dim, keepdims=True))
        found /= found.sum(axis=dim, keepdims=True)
        return found
    return values.softmax(dim=dim)


def log_softmax(values: Array, dim: int) -> Any:
    """Returns the logarithm of :func:`softmax`."""
    if isinstance(values, np.ndarray):
        shifted = values - values.max(axis=dim, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))
    return values.log_softmax(dim=dim)


def softmax_of_chosen(values: Array, ids: Any) -> Any:
    """Returns the :func:`softmax` over the first dimension of (C, ...) at the channels ``ids``.

    Args:
        values: (C, ...).
        ids: uint8 (...).
    """
    if isinstance(values, np.ndarray):
        chosen = np.take_along_axis(values, ids[None].astype(np.intp), 0)[0]
        return 1 / np.exp(values - chosen).sum(axis=0)
    return values.gather(0, ids[None].long())[0].sub_(values.logsumexp(dim=0)).exp_()


def where(condition: Array, values: Any, others: Any) -> Any:
    """Chooses values where a condition holds, and others elsewhere."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, values, others)
    import torch

    return torch.where(condition, values, others)


def looked_up(table: np.ndarray, ids: Any) -> Any:
    """Returns what a table holds at each id, uint8 (...)."""
    if isinstance(ids, np.ndarray):
        return table[ids]
    found: Any = like(table, ids)
    return found[ids.long()]


def as_bytes(shares: Array) -> Any:
    """Returns shares from 0 to 1 in steps of 1/255, uint8; the shares may be overwritten."""
    if isinstance(shares, np.ndarray):
        return np.rint(shares * np.float32(255)).clip(0, 255).astype(np.uint8)
    import torch

    return shares.mul_(255).round_().clamp_(0, 255).to(torch.uint8)


def between(
    values: Array, below: np.ndarray, above: np.ndarray, share: np.ndarray, dim: int
) -> Any:
    """Interpolates linearly along a dimension, between positions below and above.

    Args:
        values: Of any shape.
        below: Positions, int64 (n,).
        above: Positions, int64 (n,).
        share: Of the position above, float32 (n,).
        dim: The dimension.
    """
    shape = [1] * values.ndim
    shape[dim] = len(share)
    if isinstance(values, np.ndarray):
        low, high = np.take(values, below, dim), np.take(values, above, dim)
        high -= low
        high *= share.reshape(shape)
        high += low
        return high
    import torch

    low, high = (values.index_select(dim, like(place, values)) for place in (below, above))
    return torch.lerp(low, high, like(share, values).to(values).view(shape))


def largest(values: Array) -> Any:
    """Returns the channel with the largest value, uint8 (...), of values (C, ...), C below 256.

    The first one of equal ones, as argmax; on a CPU in a fifth of its time.
    """
    if isinstance(values, np.ndarray):
        best, ids = values[0].copy(), np.zeros(values.shape[1:], np.uint8)
        for channel in range(1, len(values)):
            np.copyto(ids, channel, where=values[channel] > best)
            np.maximum(best, values[channel], out=best)
        return ids
    import torch

    best, ids = values[0].clone(), torch.zeros_like(values[0], dtype=torch.uint8)
    for channel in range(1, len(values)):
        ids.masked_fill_(values[channel] > best, channel)
        torch.maximum(best, values[channel], out=best)
    return ids


def ranges(values: Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and the highest value of each channel (C, ...), as numpy's (C,)."""
    if isinstance(values, np.ndarray):
        flat = values.reshape(len(values), -1)
        return flat.min(axis=1), flat.max(axis=1)
    lowest, highest = (found.cpu().numpy() for found in values.flatten(1).aminmax(dim=1))
    return lowest, highest
