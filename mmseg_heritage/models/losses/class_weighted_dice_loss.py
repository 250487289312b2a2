"""Soft Dice loss per class, with class weights and ignored pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor

from mmseg_heritage.models.losses.functional import class_dice_losses, soft_class_sums
from mmseg_heritage.models.losses.labeled_pixels import LabeledPixels
from mmseg_heritage.models.losses.masked_loss import MaskedLoss

ABSENT_POLICIES = ("skip", "zero", "penalize")


@MODELS.register_module()
class ClassWeightedDiceLoss(MaskedLoss):
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
    - ``'penalize'``: absent classes take part with the value above.

    In a batch without a single pixel to learn from the loss is exactly 0, with zero gradients.

    **Precision.** Logits are upcast to float32 and summed in float64, inside autocast as well; the
    loss is float32 (float64 for float64 logits).

    All other arguments are those of :class:`MaskedLoss`.

    Args:
        class_weight: See :class:`MaskedLoss`. A class of weight 0 takes no part in the mean; its
            pixels still count against the others. Only ratios matter for ``reduction='mean'``.
        smooth: The s above, in pixels, from 0 upwards.
        absent: ``'skip'``, ``'zero'`` or ``'penalize'``, see above.
        reduction: ``'mean'`` is L; ``'none'`` gives the C terms :math:`w_c (1 - D_c)`, 0 for
            classes that take no part; ``'sum'`` is their sum. There is no loss per pixel, so that
            mmsegmentation's OHEM sampler needs its ``thresh``.
    """

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
        problems = []
        if absent not in ABSENT_POLICIES:
            problems.append(f"absent={absent!r}, expected one of {ABSENT_POLICIES}")
        if not 0 <= smooth < float("inf"):
            problems.append(f"smooth={smooth!r}, expected a finite number from 0 upwards")
        super().__init__(
            class_weight, reduction, loss_weight, ignore_index, check_labels, loss_name, problems
        )
        self.smooth = smooth
        self.absent = absent

    def extra_repr(self) -> str:
        """Shows the settings in the printed model."""
        return f"{super().extra_repr()}, smooth={self.smooth}, absent={self.absent!r}"

    def _compute(self, logits: Tensor, pixels: LabeledPixels) -> Tensor:
        """Sums over the batch, then forms and weighs the loss of each class; see the class."""
        intersection, predicted, labeled = soft_class_sums(
            logits, pixels.labels, pixels.pixel_weight
        )
        losses = class_dice_losses(intersection, predicted, labeled, self.smooth)
        weights = pixels.class_weight.to(losses)
        # Without a pixel to learn from every loss is 0, so that 'penalize' gives 0 as well.
        counted = weights if self.absent == "penalize" else weights * (labeled > 0)
        divisor = weights if self.absent == "zero" else counted
        return pixels.reduce(losses * counted, divisor.sum())
