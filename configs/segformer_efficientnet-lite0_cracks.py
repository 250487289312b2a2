# Clean against Cracks, for any data set in the folder layout whose masks hold the ids 0 and 9; pixels
# of other classes are ignored. docs/how-to/prepare-data.md trains it on CrackForest.
_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/segformer.py',
    '_base_/backbones/efficientnet-lite0.py', '_base_/schedules/onecycle_50e.py',
    '_base_/runtime/default.py'
]

__cracks = dict(data_root='data/cracks', metainfo=dict(classes=('Clean', 'Cracks')))
model = _base_.pop('encoder').model
model.decode_head = dict(channels=128, num_classes=2)
_base_.train_dataloader.dataset.pipeline[2].size = 256  # RareClassCrop
train_dataloader = dict(batch_size=8, dataset=__cracks)
val_dataloader = test_dataloader = dict(dataset=__cracks)
optim_wrapper = dict(optimizer=dict(lr=0.001))
default_hooks = dict(checkpoint=dict(save_best='IoU.Cracks'))
