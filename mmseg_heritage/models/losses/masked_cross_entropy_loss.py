"""Cross entropy with class weights and ignored pixels together."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_heritage.models.losses.functional import outside_classes
from mmseg_heritage.models.losses.masked_loss import MaskedLoss, divide, divide_by_factor

NORMALISATIONS = ("pixels", "weights")
_SKIPPED = -100  # a label that no class has, for pixels that weigh nothing


@MODELS.register_module()
class MaskedCrossEntropyLoss(MaskedLoss):
    r"""Softmax cross entropy, averaged over the pixels that have a label.

    With :math:`p_j` the probability that pixel j has its label :math:`t_j`, class weights w and
    pixel weights :math:`m_j` (0 where the pixel is ignored):

    .. math::
        L = \frac{\sum_j m_j w_{t_j} (-\ln p_j)}{\sum_j m_j}

    mmsegmentation's CrossEntropyLoss looks up the weight of the label 255 and fails, and divides by
    ignored pixels too. In a batch without a labelled pixel this loss is 0, with zero gradients.
    Logits are upcast to float32, inside autocast as well.

    All other arguments are those of :class:`MaskedLoss`.

    Args:
        class_weight: See :class:`MaskedLoss`. The size of the weights counts with
            ``normalise='pixels'``; weights of mean 1 over the pixels leave the scale of the loss.
        normalise: 'pixels' divides by the number of labelled pixels, as above, so that a batch with
            much rare damage weighs more. 'weights' divides by :math:`\sum_j m_j w_{t_j}`, as torch
            does, so that a batch of one class has the same loss whatever that class's weight.
        label_smoothing: Share of the target that is spread over all classes (Szegedy et al., CVPR
            2016, arXiv:1512.00567), from 0 to below 1; as in torch, the spread part carries the
            weights of the classes it falls on.
        reduction: 'mean' is L; 'none' gives the terms :math:`m_j w_{t_j} (-\ln p_j)`, (N, H, W);
            'sum' is their sum.
    """

    def __init__(
        self,
        class_weight: Sequence[float] | str | os.PathLike[str] | None = None,
        normalise: str = "pixels",
        label_smoothing: float = 0.0,
        reduction: str = "mean",
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        check_labels: bool | None = None,
        loss_name: str = "loss_ce",
    ) -> None:
        problems = check_normalisation(normalise)
        if not 0 <= label_smoothing < 1:
            problems.append(f"label_smoothing={label_smoothing!r}, expected 0 to below 1")
        super().__init__(
            class_weight, reduction, loss_weight, ignore_index, check_labels, loss_name, problems
        )
        self.normalise = normalise
        self.label_smoothing = label_smoothing

    def _compute(
        self,
        logits: Tensor,
        labels: Tensor,
        pixel_weight: Tensor | None,
        ignored: int | None,
        reduction: str,
        avg_factor: float | None,
    ) -> Tensor:
        """Computes the terms and averages them; see the class."""
        labels = skip_unlabelled(labels, logits.shape[1], ignored)
        class_weight = self._weights_for(logits.shape[1])
        logits = upcast(logits)
        terms = F.cross_entropy(
            logits,
            labels,
            weight=None if class_weight is None else class_weight.to(logits.dtype),
            ignore_index=_SKIPPED,
            reduction="none",
            label_smoothing=self.label_smoothing,
        )
        return average(terms, labels, class_weight, pixel_weight, self.normalise,
                       reduction, avg_factor)  # fmt: skip


def check_normalisation(normalise: str) -> list[str]:
    """Returns what is wrong with the argument ``normalise``."""
    if normalise in NORMALISATIONS:
        return []
    return [f"normalise={normalise!r}, expected one of {NORMALISATIONS}"]


def upcast(logits: Tensor) -> Tensor:
    """float64 stays (for numerical checks of the gradient); everything else becomes float32."""
    return logits if logits.dtype == torch.float64 else logits.float()


def skip_unlabelled(labels: Tensor, num_classes: int, ignored: int | None) -> Tensor:
    """Gives all pixels that weigh nothing, ignored ones and invalid ones, one label, no class."""
    skipped = outside_classes(labels, num_classes, None)
    if ignored is not None:
        skipped |= labels == ignored
    return torch.where(skipped, _SKIPPED, labels)


def average(
    terms: Tensor,
    labels: Tensor,
    class_weight: Tensor | None,
    pixel_weight: Tensor | None,
    normalise: str,
    reduction: str,
    avg_factor: float | None,
) -> Tensor:
    """Weighs the terms of the pixels and reduces them.

    Args:
        terms: (N, H, W), class weights included; 0 where a pixel weighs nothing.
        labels: (N, H, W), from :func:`skip_unlabelled`.
        class_weight: (C,), or None.
        pixel_weight: (N, H, W), or None.
        normalise: 'pixels' or 'weights'.
        reduction: 'none', 'mean' or 'sum'.
        avg_factor: See :class:`MaskedLoss`.
    """
    mass = (labels != _SKIPPED).to(terms.dtype)
    if pixel_weight is not None:
        mass = mass * pixel_weight
        terms = terms * pixel_weight
    if reduction == "none":
        return terms
    total = terms.sum()
    if reduction == "sum":
        return total
    if avg_factor is not None:
        return divide_by_factor(total, avg_factor)
    if normalise == "weights" and class_weight is not None:
        mass = mass * class_weight.to(terms.dtype)[labels.clamp(min=0)]
    return divide(total, mass.sum())
