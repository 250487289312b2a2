"""The arithmetic of the soft Dice loss: sums per class over a batch, and the loss of each class."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmseg_heritage.models.losses.labeled_pixels import working_precision

CACHED_VALUES = 2**18
"""How many probabilities of a piece, per thread, are worked on at a time on the CPU (1 MB)."""


def soft_class_sums(
    logits: Tensor,
    labels: Tensor,
    pixel_weight: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Sums softmax probabilities and labels per class over batch and space.

    With :math:`p_{cj}` the softmax over classes at pixel j, :math:`t_j` its label and
    :math:`m_j` its weight (0 where the label is no class):

    .. math::
        I_c = \sum_{j: t_j = c} m_j p_{cj}, \quad
        P_c = \sum_j m_j p_{cj}, \quad
        Y_c = \sum_{j: t_j = c} m_j

    Args:
        logits: Scores of shape (N, C, ...), any real value, float16 to float64.
        labels: int64 classes of shape (N, ...). Pixels with labels outside 0..C-1 weigh nothing,
            whatever their logits, NaN and infinity included.
        pixel_weight: Weights of shape (N, ...), from 0 upwards; not differentiated. None means 1.

    Returns:
        I, P and Y, each of shape (C,), in float32 (float64 for float64 logits). I and P carry
        gradients to the logits; second derivatives raise an error.
    """
    sums: tuple[Tensor, Tensor, Tensor] = _SoftClassSums.apply(
        logits.flatten(2),
        labels.flatten(1),
        None if pixel_weight is None else pixel_weight.flatten(1),
    )
    return sums


def class_dice_losses(
    intersection: Tensor, predicted: Tensor, labeled: Tensor, smooth: float
) -> Tensor:
    """Returns ``1 - D_c`` of each class, where ``D_c = (2 I_c + s) / (P_c + Y_c + s)``.

    Written as ``(P + Y - 2 I) / (P + Y + s)``, which is the same and does not subtract two numbers
    close to 1. A class neither labeled nor predicted gives 0, also with ``s = 0``.
    """
    total = predicted + labeled
    # Only 0 / 0 meets the lower bound: one pixel predicted with 1e-7 already lies at it.
    return (total - 2 * intersection) / (total + smooth).clamp_min(1e-7)


class _SoftClassSums(torch.autograd.Function):
    """Sums of :func:`soft_class_sums`, piece by piece, with the memory of one gradient.

    Plain autograd keeps the probabilities, their products and a one-hot target of the whole batch
    until backward. Here the probabilities are kept in the memory that backward turns into the
    gradient, in place; beside it, only those of one piece, at most an image, exist at a time. So
    that memory is held from forward on, not from backward on, once for each Dice loss of a model.
    Where they do not fit (logits of 16 bits), or a second backward finds them used, backward
    computes them again.

    No operation here is one that autocast lowers (there is no matrix product, which would also
    fall under TF32), and logits are upcast first: the result is the same inside autocast, on every
    device, without a context manager that older releases lack for some devices.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        labels: Tensor,
        pixel_weight: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(logits, labels, pixel_weight)
        is_kept = ctx.needs_input_grad[0] and working_precision(logits) is logits
        ctx.kept = torch.empty_like(logits) if is_kept else None
        num_classes = logits.shape[1]
        # Adding one pixel at a time in float32 stalls: above 2**24 a pixel no longer changes the
        # sum, and long before that it is rounded. MPS has no float64.
        wide = torch.float32 if logits.device.type == "mps" else torch.float64
        # The last bin collects the pixels that weigh nothing.
        intersection, predicted, labeled = logits.new_zeros(3, num_classes + 1, dtype=wide)
        for scores, classes, weight, kept in _pieces(logits, labels, pixel_weight, ctx.kept):
            bins = _bins(classes, num_classes)
            probs = _probabilities(scores, bins)
            if kept is not None:
                kept.copy_(probs)
            mass = (bins < num_classes).to(wide)
            if weight is not None:
                probs.mul_(weight)
                mass *= weight
            predicted[:-1] += probs.sum(1)
            intersection.index_add_(0, bins, _take_own(probs, bins).to(wide))
            labeled.index_add_(0, bins, mass)
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        sums = [s[:-1].to(dtype) for s in (intersection, predicted, labeled)]
        ctx.mark_non_differentiable(sums[2])
        return sums[0], sums[1], sums[2]

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_intersection: Tensor, grad_predicted: Tensor, _: Tensor
    ) -> tuple[Tensor, None, None]:
        # With g_c = dL/dP_c + [c = t] dL/dI_c, softmax gives dL/dz_c = m p_c (g_c - sum_k p_k g_k).
        logits, labels, pixel_weight = ctx.saved_tensors
        is_kept = ctx.kept is not None
        grad = ctx.kept if is_kept else torch.empty_like(logits)
        ctx.kept = None
        per_class = grad_predicted[:, None]
        # One more entry for the bin of the pixels that weigh nothing.
        own_factor = torch.cat([grad_intersection, grad_intersection.new_zeros(1)])
        for scores, classes, weight, result in _pieces(logits, labels, pixel_weight, grad):
            bins = _bins(classes, len(scores))
            # Contiguous, as softmax gives them: sums over classes are then rounded alike.
            probs = result.contiguous() if is_kept else _probabilities(scores, bins)
            own = _take_own(probs, bins) * own_factor[bins]
            product = probs * per_class
            mean = product.sum(0) + own
            product.addcmul_(probs, mean, value=-1)
            # Not a product with 0, which would be NaN where an incoming gradient is infinite.
            product.masked_fill_(bins == len(probs), 0.0)
            # One entry per pixel: no two additions meet, so the order cannot matter.
            product.scatter_add_(0, _rows(bins, len(probs)), own[None])
            result.copy_(product if weight is None else product.mul_(weight))
        return grad, None, None


def _pieces(logits: Tensor, *others: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """Walks a batch of logits (N, C, L) and tensors (N, ..., L) in step, piece by piece.

    A piece is an image; on the CPU it is a part of one, small enough that the half dozen passes
    over its probabilities find them in the cache (a third of the time less than whole images).
    """
    length = max(logits.shape[-1], 1)
    if logits.device.type == "cpu":
        length = min(length, max(CACHED_VALUES // logits.shape[1], 1) * torch.get_num_threads())
    columns: list[Iterator[Any]] = [
        repeat(None)
        if tensor is None
        else (piece for image in tensor for piece in image.split(length, -1))
        for tensor in (logits, *others)
    ]
    return zip(*columns, strict=False)  # repeat() has no end


def _bins(classes: Tensor, num_classes: int) -> Tensor:
    """Returns the bin of each pixel: its class, or ``num_classes`` where it weighs nothing."""
    return torch.where((classes >= 0) & (classes < num_classes), classes, num_classes)


def _probabilities(scores: Tensor, bins: Tensor) -> Tensor:
    """Returns a piece's probabilities (C, L), 0 where a pixel weighs nothing."""
    probs = working_precision(scores).softmax(0)
    # Not a product with 0, which would be NaN for logits that are not finite.
    return probs.masked_fill_(bins == len(scores), 0.0)


def _rows(bins: Tensor, num_classes: int) -> Tensor:
    """Turns bins into an index (1, L) of existing classes; weightless pixels point anywhere."""
    return bins.clamp(max=num_classes - 1)[None]


def _take_own(probs: Tensor, bins: Tensor) -> Tensor:
    """Returns each pixel's probability of its own class, of shape (L,)."""
    return probs.gather(0, _rows(bins, len(probs)))[0]
