_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/upernet.py', '_base_/backbones/convnext-tiny.py',
    '_base_/schedules/onecycle_50e.py', '_base_/runtime/default.py'
]

__encoder = _base_.pop('encoder')
model = __encoder.model
train_dataloader = dict(batch_size=__encoder.batch_size)
optim_wrapper = dict(optimizer=dict(lr=__encoder.lr))
