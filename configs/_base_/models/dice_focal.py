# 0.7 Dice + 0.3 focal loss, for decode_head.loss_decode.
dice_focal = [
    dict(type='ClassWeightedDiceLoss', class_weight=None, loss_weight=0.7),
    dict(type='MulticlassFocalLoss', class_weight=None, alpha=0.25, gamma=2.0, loss_weight=0.3),
]
