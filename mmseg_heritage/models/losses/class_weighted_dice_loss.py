"""Soft Dice loss per class, with class weights and ignored pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_heritage.data.class_weights import load_class_weights
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses.functional import (
    class_dice_losses,
    outside_classes,
    soft_class_sums,
)

ABSENT_POLICIES = ("skip", "zero", "penalise")
REDUCTIONS = ("none", "mean", "sum")


@MODELS.register_module()
class ClassWeightedDiceLoss(nn.Module):
    r"""Soft Dice loss per class over the batch, averaged with class weights.

    With softmax probabilities :math:`p_{cj}` over all classes, label :math:`t_j` and weight
    :math:`m_j` of pixel j (0 where the pixel is ignored), summed over the whole batch:

    .. math::
        D_c = \frac{2 \sum_{j: t_j = c} m_j p_{cj} + s}
                   {\sum_j m_j p_{cj} + \sum_{j: t_j = c} m_j + s}, \qquad
        L = \frac{\sum_{c \in A} w_c (1 - D_c)}{\sum_{c \in B} w_c}

    D is the Dice coefficient of Milletari et al. (V-Net, 3DV 2016, arXiv:1606.04797) with the
    plain instead of the squared probabilities in the denominator, and one coefficient per class
    with class weights as in Sudre et al. (DLMIA 2017, arXiv:1707.03237) - there the weights
    multiply numerator and denominator inside one ratio; here they weigh the ratios, so that a rare
    class keeps its share of the loss however few pixels it has. Under distributed training each
    process computes the loss of its own batch.

    **Absent classes.** A class without a (weighted) ground-truth pixel in the batch has
    :math:`1 - D_c = P_c / (P_c + s)`, with :math:`P_c` the probability mass it was given: about 1
    with next to no gradient as soon as that mass is some pixels. Rare damage is absent from most
    batches and carries the largest weights, so these constants would drown the classes that can
    be learned. ``absent`` says what happens:

    - ``'skip'`` (default): absent classes are in neither sum. The loss then stays in 0..1 and
      measures the classes at hand. False positives of an absent class still cost: they take
      probability from the class that is there. The price: the influence of a class depends on what
      else is in the batch; in a batch of one class its weight cancels.
    - ``'zero'``: absent classes contribute 0 to the numerator and keep their weight in the
      denominator, so that :math:`w_c` means the same in every batch, and batches with few classes
      weigh less. This is ``segmentation_models_pytorch.losses.DiceLoss(mode='multiclass',
      from_logits=True, smooth=r, ignore_index=..., class_weights=...)`` of release 0.6, whose
      coefficient :math:`(I + r) / ((P + Y) / 2 + r)`, with the three sums above, makes its smooth
      r our s = 2 r (releases before their pull request 927 of 2024 have s = r).
    - ``'penalise'``: absent classes take part with the value above.

    In a batch without a single pixel to learn from the loss is exactly 0, with zero gradients.

    **Precision.** Logits are upcast to float32 and summed in float64, inside autocast as well; the
    loss is float32 (float64 for float64 logits).

    **Labels.** A label that is neither in 0..C-1 nor ignored raises an
    :class:`~mmseg_heritage.errors.InputError`. Knowing this needs the value on the host, which on
    an accelerator would make every step wait for the device. There, unless ``check_labels=True``,
    such a batch makes the reported loss NaN instead; gradients are those of the remaining pixels.

    Args:
        class_weight: Weights in class order, from 0 upwards, or the path of a JSON file (see
            :func:`~mmseg_heritage.data.class_weights.load_class_weights`). A class of weight 0
            takes no part in the mean; its pixels still count against the others. None weighs all
            alike. Only ratios matter for ``reduction='mean'``.
        smooth: The s above, in pixels, from 0 upwards.
        absent: ``'skip'``, ``'zero'`` or ``'penalise'``, see above.
        reduction: ``'mean'`` is L; ``'none'`` gives the C terms :math:`w_c (1 - D_c)`, 0 for
            classes that take no part; ``'sum'`` is their sum. There is no loss per pixel, so that
            mmsegmentation's OHEM sampler needs its ``thresh``.
        loss_weight: Factor on the result.
        ignore_index: Label of pixels that are left out of everything, where ``forward`` is not
            given one; any integer, a class as well. None ignores nothing.
        check_labels: Whether to raise for labels out of range. None: for tensors on the CPU.
        loss_name: Key in the log. mmengine adds up for backward what has ``loss`` in its name;
            mmsegmentation's convention is the prefix ``loss_``.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        class_weight: Sequence[float] | str | os.PathLike[str] | None = None,
        smooth: float = 1.0,
        absent: str = "skip",
        reduction: str = "mean",
        loss_weight: float = 1.0,
        ignore_index: int | None = 255,
        check_labels: bool | None = None,
        loss_name: str = "loss_dice",
    ) -> None:
        super().__init__()
        problems = []
        if absent not in ABSENT_POLICIES:
            problems.append(f"absent={absent!r}, expected one of {ABSENT_POLICIES}")
        if reduction not in REDUCTIONS:
            problems.append(f"reduction={reduction!r}, expected one of {REDUCTIONS}")
        if not 0 <= smooth < float("inf"):
            problems.append(f"smooth={smooth!r}, expected a finite number from 0 upwards")
        if problems:
            raise InputError("ClassWeightedDiceLoss cannot be built.", problems)
        weights = None if class_weight is None else torch.tensor(load_class_weights(class_weight))
        # A buffer moves with the model; not persistent, since checkpoints of models trained with
        # other losses must load without a remark.
        self.register_buffer("class_weight", weights, persistent=False)
        self.smooth = smooth
        self.absent = absent
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.ignore_index = ignore_index
        self.check_labels = check_labels
        self._loss_name = loss_name

    @property
    def loss_name(self) -> str:
        """Key of this loss in the log, see ``loss_name`` above."""
        return self._loss_name

    def extra_repr(self) -> str:
        """Shows the settings in the printed model."""
        weights = None if self.class_weight is None else f"<{len(self.class_weight)} classes>"
        return (
            f"class_weight={weights}, smooth={self.smooth}, absent={self.absent!r}, "
            f"reduction={self.reduction!r}, loss_weight={self.loss_weight}, "
            f"ignore_index={self.ignore_index}"
        )

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        ignore_index: int | None = None,
    ) -> Tensor:
        """Computes the loss of a batch.

        Args:
            pred: Logits of shape (N, C, H, W), or (N, C, ...) with any number of further axes;
                C from 2 upwards, floating point.
            target: Labels of shape (N, H, W), of an integer type.
            weight: Weight of each pixel, of the same shape as ``target``, from 0 upwards: factors
                m on all sums. What mmsegmentation's pixel samplers (OHEM) give.
            avg_factor: Divides the sum of the terms in place of the sum of class weights, as in
                mmsegmentation; ``'none'`` disregards it, ``'sum'`` refuses it.
            reduction_override: Replaces ``reduction`` for this call.
            ignore_index: Replaces the ``ignore_index`` of the constructor. Decode heads always
                pass theirs, so that in a head the setting of the head holds.

        Returns:
            A scalar, or the terms of shape (C,) for ``'none'``.

        Raises:
            ValueError: If shapes, types, or reduction and ``avg_factor`` do not go together.
            InputError: If labels are out of range (see the class), or there are not as many class
                weights as classes.
        """
        reduction = self.reduction if reduction_override is None else reduction_override
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction_override={reduction!r}, expected one of {REDUCTIONS}")
        if avg_factor is not None and reduction == "sum":
            raise ValueError("avg_factor goes with reduction 'mean' only, found 'sum'")
        _check_tensors(pred, target, weight)
        ignored = self.ignore_index if ignore_index is None else ignore_index
        labels = target.long()
        invalid = self._invalid_marker(labels, pred, ignored)
        sums = soft_class_sums(
            pred.flatten(2),
            labels.flatten(1),
            None if weight is None else weight.detach().flatten(1),
            ignored,
        )
        losses = class_dice_losses(*sums, smooth=self.smooth)
        reduced = self._reduce(losses, sums[2], reduction, avg_factor)
        if invalid is not None:
            reduced = reduced + invalid
        return self.loss_weight * reduced

    def _reduce(
        self, losses: Tensor, labelled: Tensor, reduction: str, avg_factor: float | None
    ) -> Tensor:
        """Weighs the losses of the classes that take part and reduces them."""
        weights = self._weights_for(losses)
        # Without a pixel to learn from every loss is 0, so that 'penalise' gives 0 as well.
        counted = weights if self.absent == "penalise" else weights * (labelled > 0)
        terms = losses * counted
        if reduction == "none":
            return terms
        total = terms.sum()
        if reduction == "sum":
            return total
        if avg_factor is not None:
            # The same guard against 0 as mmsegmentation's weight_reduce_loss.
            return total / (avg_factor + torch.finfo(torch.float32).eps)
        divisor = (weights if self.absent == "zero" else counted).sum()
        return total / torch.where(divisor > 0, divisor, 1.0)

    def _weights_for(self, losses: Tensor) -> Tensor:
        """Returns the class weights on the device and in the type of the losses."""
        if self.class_weight is None:
            return torch.ones_like(losses)
        if len(self.class_weight) != len(losses):
            raise InputError(
                "class_weight needs one weight per class.",
                [f"{len(self.class_weight)} weights, but the logits have {len(losses)} classes"],
            )
        return self.class_weight.to(losses)

    def _invalid_marker(self, labels: Tensor, pred: Tensor, ignored: int | None) -> Tensor | None:
        """Raises for labels out of range; where that may not wait, returns NaN for them, else 0."""
        num_classes = pred.shape[1]
        outside = outside_classes(labels, num_classes, ignored)
        check = pred.device.type == "cpu" if self.check_labels is None else self.check_labels
        if not check:
            return torch.where(outside.any(), float("nan"), 0.0)
        if outside.any():
            values, counts = labels[outside].unique(return_counts=True)
            raise InputError(
                f"Labels must lie in 0..{num_classes - 1} or be the ignored value {ignored}. Check "
                "num_classes, ignore_index and the label mapping of the data set.",
                [
                    f"label {value} in {count} pixels"
                    for value, count in zip(values.tolist(), counts.tolist(), strict=True)
                ],
            )
        return None


def _check_tensors(pred: Tensor, target: Tensor, weight: Tensor | None) -> None:
    """Raises a ValueError with the shapes expected and found."""
    if pred.dim() < 3 or pred.shape[1] < 2 or not pred.is_floating_point():
        raise ValueError(
            "pred must be floating-point logits of shape (N, C, H, W) with C from 2 upwards, found "
            f"{tuple(pred.shape)} of {pred.dtype}"
        )
    expected = (pred.shape[0], *pred.shape[2:])
    if tuple(target.shape) != expected:
        raise ValueError(
            f"target must have the shape {expected} to go with pred {tuple(pred.shape)}, found "
            f"{tuple(target.shape)}"
        )
    if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
        raise ValueError(f"target must hold integer labels, found {target.dtype}")
    if weight is not None and tuple(weight.shape) != expected:
        raise ValueError(
            f"weight must have the shape {expected} of target, found {tuple(weight.shape)}"
        )
