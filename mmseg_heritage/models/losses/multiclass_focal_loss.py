"""Focal loss over softmax probabilities."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses.labeled_pixels import LabeledPixels
from mmseg_heritage.models.losses.masked_cross_entropy_loss import check_normalize
from mmseg_heritage.models.losses.masked_loss import FACTOR, MaskedLoss, is_factor


@MODELS.register_module()
class MulticlassFocalLoss(MaskedLoss):
    r"""Cross entropy that leaves pixels alone which are right already.

    With :math:`p_j` the softmax probability that pixel j has its label :math:`t_j`, class weights w
    and pixel weights :math:`m_j` (0 where the pixel is ignored):

    .. math::
        L = \frac{\sum_j m_j w_{t_j} \alpha_{t_j} (1 - p_j)^\gamma (-\ln p_j)}{\sum_j m_j}

    Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, arXiv:1708.02002, equation 5, for
    classes that exclude each other instead of one sigmoid for each. With :math:`\gamma = 0` and
    :math:`\alpha = 1` it is :class:`MaskedCrossEntropyLoss`. In a batch without a labeled pixel it
    is 0, with zero gradients. Logits are upcast to float32, inside autocast as well.

    All other arguments are those of :class:`MaskedLoss`.

    Args:
        alpha: The factor above, from 0 upwards: one for all classes, or one for each.
        gamma: The exponent, from 0 upwards.
        class_weight: See :class:`MaskedLoss`. p is not affected by it.
        normalize: See :class:`MaskedCrossEntropyLoss`; alpha is no part of the divisor.
        reduction: 'mean' is L; 'none' gives the terms, (N, H, W); 'sum' is their sum.
    """

    alpha: Tensor

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        class_weight: Sequence[float] | str | os.PathLike[str] | None = None,
        normalize: str = "pixels",
        reduction: str = "mean",
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        check_labels: bool | None = None,
        loss_name: str = "loss_focal",
    ) -> None:
        problems = check_normalize(normalize)
        factors = list(alpha) if isinstance(alpha, (list, tuple)) else [alpha]
        if not factors or not all(is_factor(factor) for factor in factors):
            problems.append(f"alpha={alpha!r}, expected {FACTOR}, or a list of them")
        if not is_factor(gamma):
            problems.append(f"gamma={gamma!r}, expected {FACTOR}")
        super().__init__(
            class_weight, reduction, loss_weight, ignore_index, check_labels, loss_name, problems
        )
        self.register_buffer("alpha", torch.tensor(factors, dtype=torch.float32), persistent=False)
        self.gamma = gamma
        self.normalize = normalize

    def _compute(self, logits: Tensor, pixels: LabeledPixels) -> Tensor:
        """Computes the terms and averages them; see the class."""
        own = pixels.labels.clamp(min=0)
        log_p = pixels.hide_others(logits).log_softmax(dim=1).gather(1, own[:, None])[:, 0]
        # Near p = 1 the difference 1 - p loses its digits, and a root has no gradient at 0.
        missing = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)
        factors = (self.alpha * pixels.class_weight).to(log_p)[own]
        terms = -log_p * missing**self.gamma * factors * pixels.takes_part
        return pixels.average(terms, self.normalize)

    def check_classes(self, num_classes: int) -> None:
        """Verifies the class weights and alpha, see :meth:`MaskedLoss.check_classes`."""
        super().check_classes(num_classes)
        if len(self.alpha) not in (1, num_classes):
            raise InputError(
                "alpha needs one number, or one for each class; the levels of a hierarchical head "
                "have other classes each, so that a list for each level goes into level_losses.",
                [f"{len(self.alpha)} numbers for {num_classes} classes"],
            )
