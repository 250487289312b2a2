# Larger crops in small batches, Dice and focal loss, warm-up and cosine.
_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/upernet.py', '_base_/models/dice_focal.py',
    '_base_/backbones/coat-lite-small.py', '_base_/schedules/warmup-cosine_60e.py',
    '_base_/runtime/default.py'
]

model = _base_.pop('encoder').model
model.backbone.img_size = 512  # the size of the crops
model.decode_head = dict(loss_decode=_base_.pop('dice_focal'))
_base_.train_dataloader.dataset.pipeline[2].size = 512  # RareClassCrop
train_dataloader = dict(batch_size=4)
