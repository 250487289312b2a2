# SegFormer (Xie et al., NeurIPS 2021, arXiv:2105.15203) with MiT-B3.
pretrained = None  # a local file, 'auto' (download), or None (random weights)
class_weights = None  # a list or a JSON file; None weights all classes alike
num_classes = 16

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=32),
    backbone=dict(
        type='MixVisionTransformer',
        in_channels=3,
        embed_dims=64,
        num_stages=4,
        num_layers=[3, 4, 18, 3],
        num_heads=[1, 2, 5, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        out_indices=(0, 1, 2, 3),
        mlp_ratio=4,
        qkv_bias=True,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.1),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[64, 128, 320, 512],
        in_index=[0, 1, 2, 3],
        channels=256,
        dropout_ratio=0.1,
        num_classes=num_classes,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='ClassWeightedDiceLoss', class_weight=class_weights, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

# Files that pretrained='auto' fetches for this backbone (mmseg_heritage/apis/pretrained.py).
pretrained_name = 'mit_b3'

model_variables = dict(
    num_classes=(num_classes, ['model.decode_head.num_classes']),
    class_weights=(class_weights, ['model.decode_head.loss_decode.class_weight']))
