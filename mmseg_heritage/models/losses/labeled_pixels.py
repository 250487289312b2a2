"""The labels of a batch with their weights, and how the terms of a loss become one number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

NO_CLASS = -100
"""Label of pixels that take no part."""

NORMALIZATIONS = ("pixels", "weights")


@dataclass(frozen=True)
class LabeledPixels:
    """What a loss is computed against and averaged over; made once for each call.

    Attributes:
        labels: int64 (N, ...), classes 0..C-1; :data:`NO_CLASS` where a pixel takes no part, being
            ignored, out of range or of weight 0.
        pixel_weight: (N, ...), from 0 upwards; None means 1.
        class_weight: float32 (C,), from 0 upwards.
        reduction: 'none', 'mean' or 'sum'.
        avg_factor: Divides the sum for 'mean' in place of the divisor of the loss.
    """

    labels: Tensor
    pixel_weight: Tensor | None
    class_weight: Tensor
    reduction: str
    avg_factor: float | None

    @cached_property
    def takes_part(self) -> Tensor:
        """Bool (N, ...), which pixels count."""
        return self.labels != NO_CLASS

    def hide_others(self, logits: Tensor) -> Tensor:
        """Sets the logits of pixels that take no part to 0, whatever they are.

        Without it NaN or infinity there would reach the loss or the gradient, as 0 times NaN.

        Args:
            logits: (N, C, ...).

        Returns:
            Logits of the same shape, float64 if they were, else float32.
        """
        return torch.where(self.takes_part[:, None], working_precision(logits), 0.0)

    def average(self, terms: Tensor, normalize: str) -> Tensor:
        """Weighs the terms of the pixels and reduces them.

        Args:
            terms: (N, ...), class weights included; 0 where a pixel takes no part.
            normalize: 'pixels' divides the sum by the pixels, 'weights' by their class weights;
                both are multiplied by the pixel weights.
        """
        mass = self.takes_part.to(terms.dtype)
        if self.pixel_weight is not None:
            mass = mass * self.pixel_weight
            terms = terms * self.pixel_weight
        if normalize == "weights":
            mass = mass * self.class_weight.to(terms.dtype)[self.labels.clamp(min=0)]
        return self.reduce(terms, mass.sum())

    def reduce(self, terms: Tensor, divisor: Tensor) -> Tensor:
        """Returns the terms, their sum, or their sum by a divisor; 0 where that is 0."""
        if self.reduction == "none":
            return terms
        total = terms.sum()
        if self.reduction == "sum":
            return total
        if self.avg_factor is not None:  # with mmsegmentation's guard against 0
            return total / (self.avg_factor + torch.finfo(torch.float32).eps)
        # Division by infinity gives 0 with zero gradients, and leaves NaN what it is.
        return total / torch.where(divisor == 0, torch.inf, divisor)


def working_precision(tensor: Tensor) -> Tensor:
    """float64 stays (for numerical checks of the gradient); everything else becomes float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
