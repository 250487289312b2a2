"""Losses for ``loss_decode``; importing this package registers them with mmsegmentation."""

from mmseg_heritage.models.losses.class_weighted_dice_loss import ClassWeightedDiceLoss

__all__ = ["ClassWeightedDiceLoss"]
