_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/unet.py', '_base_/backbones/coatnet-0.py',
    '_base_/schedules/onecycle_50e.py', '_base_/runtime/default.py'
]

__encoder = _base_.pop('encoder')
model = __encoder.model
train_dataloader = dict(batch_size=__encoder.batch_size)
optim_wrapper = dict(optimizer=dict(lr=__encoder.lr))
_base_.train_dataloader.dataset.pipeline[2].size = 224  # RareClassCrop; as the backbone was pretrained
