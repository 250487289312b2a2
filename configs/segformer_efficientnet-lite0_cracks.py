# Clean against Cracks, for any data set in the folder layout whose masks hold the ids 0 and 9; pixels
# of other classes are ignored. The README trains it on CrackForest.
_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/segformer.py',
    '_base_/backbones/efficientnet-lite0.py', '_base_/schedules/onecycle_50e.py',
    '_base_/runtime/default.py'
]

model = dict(
    data_preprocessor={{_base_.encoder.data_preprocessor}},
    backbone={{_base_.encoder.backbone}},
    decode_head=dict(channels=128))
data_root = 'data/cracks'
num_classes = 2
crop_size = 256
batch_size = 8
lr = 0.001

metainfo = dict(classes=('Clean', 'Cracks'))
train_dataloader = dict(dataset=dict(metainfo=metainfo))
val_dataloader = dict(dataset=dict(metainfo=metainfo))
test_dataloader = dict(dataset=dict(metainfo=metainfo))
default_hooks = dict(checkpoint=dict(save_best='IoU.Cracks'))
