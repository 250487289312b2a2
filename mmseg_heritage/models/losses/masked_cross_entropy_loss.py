"""Cross entropy with class weights and ignored pixels together."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_heritage.models.losses.labeled_pixels import NO_CLASS, NORMALIZATIONS, LabeledPixels
from mmseg_heritage.models.losses.masked_loss import MaskedLoss


@MODELS.register_module()
class MaskedCrossEntropyLoss(MaskedLoss):
    r"""Softmax cross entropy, averaged over the pixels that have a label.

    With :math:`p_j` the probability that pixel j has its label :math:`t_j`, class weights w and
    pixel weights :math:`m_j` (0 where the pixel is ignored):

    .. math::
        L = \frac{\sum_j m_j w_{t_j} (-\ln p_j)}{\sum_j m_j}

    mmsegmentation's CrossEntropyLoss looks up the weight of the label 255 and fails, and divides by
    ignored pixels too. In a batch without a labeled pixel this loss is 0, with zero gradients.
    Logits are upcast to float32, inside autocast as well.

    All other arguments are those of :class:`MaskedLoss`.

    Args:
        class_weight: See :class:`MaskedLoss`. The size of the weights counts with
            ``normalize='pixels'``; weights of mean 1 over the pixels leave the scale of the loss.
        normalize: 'pixels' divides by the number of labeled pixels, as above, so that a batch with
            much rare damage weighs more. 'weights' divides by :math:`\sum_j m_j w_{t_j}`, as torch
            does, so that a batch of one class has the same loss whatever that class's weight; 0 in
            a batch of nothing but classes of weight 0.
        label_smoothing: Share of the target that is spread over all classes (Szegedy et al., CVPR
            2016, arXiv:1512.00567), from 0 to below 1; as in torch, the spread part carries the
            weights of the classes it falls on.
        reduction: 'mean' is L; 'none' gives the terms :math:`m_j w_{t_j} (-\ln p_j)`, (N, H, W);
            'sum' is their sum.
    """

    def __init__(
        self,
        class_weight: Sequence[float] | str | os.PathLike[str] | None = None,
        normalize: str = "pixels",
        label_smoothing: float = 0.0,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        check_labels: bool | None = None,
        loss_name: str = "loss_ce",
    ) -> None:
        problems = check_normalize(normalize)
        if not 0 <= label_smoothing < 1:
            problems.append(f"label_smoothing={label_smoothing!r}, expected 0 to below 1")
        super().__init__(
            class_weight, reduction, loss_weight, ignore_index, check_labels, loss_name, problems
        )
        self.normalize = normalize
        self.label_smoothing = label_smoothing

    def _compute(self, logits: Tensor, pixels: LabeledPixels) -> Tensor:
        """Computes the terms and averages them; see the class."""
        logits = pixels.hide_others(logits)
        terms = F.cross_entropy(
            logits,
            pixels.labels,
            weight=pixels.class_weight.to(logits.dtype),
            ignore_index=NO_CLASS,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return pixels.average(terms, self.normalize)


def check_normalize(normalize: str) -> list[str]:
    """Returns what is wrong with the argument ``normalize``."""
    if normalize in NORMALIZATIONS:
        return []
    return [f"normalize={normalize!r}, expected one of {NORMALIZATIONS}"]
