_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/unet.py', '_base_/backbones/convnext-tiny.py',
    '_base_/schedules/onecycle_50e.py', '_base_/runtime/default.py'
]

model = {{_base_.encoder}}
batch_size = {{_base_.encoder_batch_size}}
lr = {{_base_.encoder_lr}}
