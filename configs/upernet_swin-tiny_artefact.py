# Larger crops in small batches, Dice and focal loss, warm-up and cosine.
_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/upernet.py', '_base_/models/dice_focal.py',
    '_base_/backbones/swin-tiny.py', '_base_/schedules/warmup-cosine_60e.py',
    '_base_/runtime/default.py'
]

model = dict(
    data_preprocessor={{_base_.encoder.data_preprocessor}},
    backbone={{_base_.encoder.backbone}},
    decode_head=dict(loss_decode={{_base_.dice_focal}}))
crop_size = 512
batch_size = 4
