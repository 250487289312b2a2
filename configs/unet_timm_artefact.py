# U-Net on any timm model with a feature pyramid: --cfg-options model.backbone.model_name=NAME.
_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/unet.py', '_base_/schedules/onecycle_50e.py',
    '_base_/runtime/default.py'
]

pretrained = None  # a local file, 'auto' (timm's weights, from its hub cache or by download), or None
model = dict(
    # Most timm models; others (timm.get_pretrained_cfg(NAME).mean) want model.data_preprocessor.*
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type='TimmBackboneAdapter', model_name='resnet34', out_indices='all'))
