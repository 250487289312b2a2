# What every model has in common. The decoder is in the other files of this folder, the backbone in
# ../backbones; a config brings the two together.
class_weights = None  # a list or a JSON file; None weights all classes alike
num_classes = 16

model = dict(
    type='HeritageEncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size_divisor=32),
    decode_head=dict(
        in_channels='auto',  # as many as the backbone gives
        num_classes=num_classes,
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='ClassWeightedDiceLoss', class_weight=class_weights, loss_weight=1.0)),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))

model_variables = dict(
    num_classes=(num_classes, ['model.decode_head.num_classes', 'model.auxiliary_head.num_classes']),
    class_weights=(class_weights, ['model.decode_head.loss_decode.class_weight',
                                   'model.decode_head.loss_decode.0.class_weight',
                                   'model.decode_head.loss_decode.1.class_weight',
                                   'model.auxiliary_head.loss_decode.class_weight']))
