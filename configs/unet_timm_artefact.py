# U-Net on any timm model with a feature pyramid: --cfg-options model.backbone.model_name=NAME.
_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/unet.py', '_base_/schedules/onecycle_50e.py',
    '_base_/runtime/default.py'
]

model = dict(
    data_preprocessor=dict(mean='auto', std='auto'),  # those of timm's weights of the model
    backbone=dict(type='TimmBackboneAdapter', model_name='resnet34', out_indices='all'))
