"""Losses for ``loss_decode``; importing this package registers them with mmsegmentation."""

from mmseg_heritage.models.losses.class_weighted_dice_loss import ClassWeightedDiceLoss
from mmseg_heritage.models.losses.generalized_dice_loss import GeneralizedDiceLoss
from mmseg_heritage.models.losses.masked_cross_entropy_loss import MaskedCrossEntropyLoss
from mmseg_heritage.models.losses.multiclass_focal_loss import MulticlassFocalLoss

__all__ = [
    "ClassWeightedDiceLoss",
    "GeneralizedDiceLoss",
    "MaskedCrossEntropyLoss",
    "MulticlassFocalLoss",
]
