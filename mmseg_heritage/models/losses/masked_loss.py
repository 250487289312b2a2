"""What the losses here share: class weights, ignored pixels, checks and the surface of mmseg."""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from mmseg_heritage.dataprep.weights.weight_formulas import load_class_weights
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses.labeled_pixels import NO_CLASS, LabeledPixels

REDUCTIONS = ("none", "mean", "sum")
FACTOR = "a finite number from 0 upwards"


class MaskedLoss(nn.Module, ABC):
    """Base of losses over labeled pixels, called as mmsegmentation's decode heads call losses.

    **Labels.** A label that is neither in 0..C-1 nor ignored raises an
    :class:`~mmseg_heritage.errors.InputError`. Knowing this needs the value on the host, which on
    an accelerator would make every step wait for the device. There, unless ``check_labels=True``,
    such a batch makes the reported loss NaN instead; gradients are those of the remaining pixels.

    **Logits that are not finite.** At ignored pixels they change neither the loss nor a gradient;
    NaN at a labeled pixel makes the loss NaN, where :class:`NanLossHook` sees it.

    Args:
        class_weight: Weights in class order, from 0 upwards, or the path of a JSON file (see
            :func:`~mmseg_heritage.dataprep.weights.weight_formulas.load_class_weights`). None
            weighs all alike.
        reduction: 'none', 'mean' or 'sum'.
        loss_weight: Factor on the result, from 0 upwards.
        ignore_index: Label of pixels that are left out of everything, where ``forward`` is not
            given one; any integer, a class as well. None ignores nothing.
        check_labels: Whether to raise for labels out of range. None: for tensors on the CPU.
        loss_name: Key in the log. mmengine adds up for backward what has ``loss`` in its name;
            mmsegmentation's convention is the prefix ``loss_``.
        problems: What the subclass found wrong with its own arguments.

    Raises:
        InputError: With all that is wrong with the arguments.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        class_weight: Sequence[float] | str | os.PathLike[str] | None,
        reduction: str,
        loss_weight: float,
        ignore_index: int | None,
        check_labels: bool | None,
        loss_name: str,
        problems: Iterable[str] = (),
    ) -> None:
        super().__init__()
        problems = list(problems)
        if reduction not in REDUCTIONS:
            problems.append(f"reduction={reduction!r}, expected one of {REDUCTIONS}")
        if not is_factor(loss_weight):
            problems.append(f"loss_weight={loss_weight!r}, expected {FACTOR}")
        if problems:
            raise InputError(f"{type(self).__name__} cannot be built.", problems)
        weights = None if class_weight is None else torch.tensor(load_class_weights(class_weight))
        # A buffer moves with the model; not persistent, since checkpoints of models trained with
        # other losses must load without a remark.
        self.register_buffer("class_weight", weights, persistent=False)
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
            f"class_weight={weights}, reduction={self.reduction!r}, "
            f"loss_weight={self.loss_weight}, ignore_index={self.ignore_index}"
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
            weight: Weight of each pixel, of the same shape as ``target``, from 0 upwards. What
                mmsegmentation's pixel samplers (OHEM) give.
            avg_factor: Divides the sum in place of what the loss divides by, as in mmsegmentation;
                'none' disregards it, 'sum' refuses it.
            reduction_override: Replaces ``reduction`` for this call.
            ignore_index: Replaces the ``ignore_index`` of the constructor. Decode heads always
                pass theirs, so that in a head the setting of the head holds.

        Returns:
            A scalar, or the terms that it is made from for 'none'.

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
        self.check_classes(pred.shape[1])
        ignored = self.ignore_index if ignore_index is None else ignore_index
        labels = target.long()
        is_class = (labels >= 0) & (labels < pred.shape[1])
        is_ignored = torch.zeros_like(is_class) if ignored is None else labels == ignored
        invalid = self._invalid_marker(labels, ~(is_class | is_ignored), pred.shape[1], ignored)
        takes_part = is_class & ~is_ignored
        if weight is not None:
            takes_part &= weight != 0
        pixels = LabeledPixels(
            labels=torch.where(takes_part, labels, NO_CLASS),
            pixel_weight=None if weight is None else weight.detach(),
            class_weight=pred.new_ones(pred.shape[1], dtype=torch.float32)
            if self.class_weight is None
            else self.class_weight,
            reduction=reduction,
            avg_factor=avg_factor,
        )
        reduced = self._compute(pred, pixels)
        if invalid is not None:
            reduced = reduced + invalid
        return self.loss_weight * reduced

    @abstractmethod
    def _compute(self, logits: Tensor, pixels: LabeledPixels) -> Tensor:
        """Returns the reduced loss, before ``loss_weight``.

        Logits of pixels that take no part must reach neither the loss nor the gradient, NaN and
        infinity included; NaN at any other pixel must make the loss NaN.

        Args:
            logits: (N, C, ...), of any floating type.
            pixels: Their labels.
        """

    def check_classes(self, num_classes: int) -> None:
        """Verifies, before any batch is seen, that the loss fits a number of classes.

        Raises:
            InputError: If there are not as many class weights as classes.
        """
        if self.class_weight is not None and len(self.class_weight) != num_classes:
            raise InputError(
                "class_weight needs one weight per class.",
                [f"{len(self.class_weight)} weights for {num_classes} classes"],
            )

    def _invalid_marker(
        self, labels: Tensor, outside: Tensor, num_classes: int, ignored: int | None
    ) -> Tensor | None:
        """Raises for labels out of range; where that may not wait, returns NaN for them, else 0."""
        check = labels.device.type == "cpu" if self.check_labels is None else self.check_labels
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


def is_factor(value: object) -> bool:
    """Whether a setting is :data:`FACTOR`."""
    return not isinstance(value, bool) and isinstance(value, (int, float)) and 0 <= value < math.inf


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
