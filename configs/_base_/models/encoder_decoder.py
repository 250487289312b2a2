# What every model has in common. The decoder is in the other files of this folder, the backbone in
# ../backbones; a config brings the two together.
model = dict(
    type='HeritageEncoderDecoder',
    data_preprocessor=dict(
        type='HeritageDataPreProcessor', bgr_to_rgb=True, pad_val=0, seg_pad_val=255,
        size_divisor=32),
    decode_head=dict(
        in_channels='auto',  # as many as the backbone gives
        num_classes=16,
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='ClassWeightedDiceLoss', class_weight=None, loss_weight=1.0)),
    # How a photograph of any size is predicted, by mmseg's tools too (docs/how-to/predict.md).
    inference=dict(mode='window', crop=512, overlap=0.25, scales=['native']),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
