"""Dice loss as one ratio over all classes, weighted by their size."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_heritage.models.losses.functional import soft_class_sums
from mmseg_heritage.models.losses.labeled_pixels import LabeledPixels
from mmseg_heritage.models.losses.masked_loss import MaskedLoss


@MODELS.register_module()
class GeneralizedDiceLoss(MaskedLoss):
    r"""Generalized Dice loss of Sudre et al. (DLMIA 2017, arXiv:1707.03237, section 2.1).

    With the sums I, P and Y over the batch of :func:`soft_class_sums` (intersection, predicted
    mass, labeled mass) and class weights w:

    .. math::
        v_c = \frac{w_c}{Y_c^2}, \qquad
        L = 1 - 2 \frac{\sum_c v_c I_c}{\sum_c v_c (P_c + Y_c)}

    over the classes that have a labeled pixel in the batch: an absent class would have an infinite
    weight. The weights make the classes equal however large they are, so that a class of a few
    pixels makes the loss jump; :class:`ClassWeightedDiceLoss` is the calmer one. In a batch without
    a labeled pixel it is 0, with zero gradients.

    All other arguments are those of :class:`MaskedLoss`.

    Args:
        class_weight: See :class:`MaskedLoss`.
        reduction: There are no terms for single classes: 'mean', 'sum' and 'none' are all L, and
            an ``avg_factor`` has nothing to divide.
    """

    def __init__(
        self,
        class_weight: Sequence[float] | str | os.PathLike[str] | None = None,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        check_labels: bool | None = None,
        loss_name: str = "loss_generalized_dice",
    ) -> None:
        super().__init__(
            class_weight, reduction, loss_weight, ignore_index, check_labels, loss_name
        )

    def _compute(self, logits: Tensor, pixels: LabeledPixels) -> Tensor:
        """Sums over the batch, then forms the ratio; see the class."""
        intersection, predicted, labeled = soft_class_sums(
            logits, pixels.labels, pixels.pixel_weight
        )
        present = labeled > 0
        # Y_c^2 relative to the smallest class: the squares of pixel counts leave float32's range.
        smallest = torch.where(present, labeled, torch.inf).min()
        sizes = torch.where(present, smallest / torch.where(present, labeled, 1.0), 0.0)
        weights = sizes**2 * pixels.class_weight.to(sizes)
        both = (weights * (predicted + labeled)).sum()
        nothing = both == 0  # unlike both > 0 this is False for NaN, which must stay NaN
        dice = 2 * (weights * intersection).sum() / torch.where(nothing, 1.0, both)
        return torch.where(nothing, 0.0, 1.0) - dice
