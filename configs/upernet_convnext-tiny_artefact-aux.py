# With an auxiliary head on the feature map of stride 16.
_base_ = ['./upernet_convnext-tiny_artefact.py']

model = dict(
    auxiliary_head=dict(
        type='FCNHead',
        in_channels='auto',
        in_index=2,
        channels=256,
        num_convs=1,
        num_classes=16,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='ClassWeightedDiceLoss', class_weight=None, loss_weight=0.4)))
