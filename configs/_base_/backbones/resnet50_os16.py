# ResNet-50 (He et al., CVPR 2016, arXiv:1512.03385) at output stride 16.
pretrained = None  # a local file, 'auto' (timm's weights, from its hub cache or by download), or None
# For one process with a large GPU; the learning rate follows the batch: 0.001 for 96 images.
encoder_batch_size = 64
encoder_lr = 0.000667

encoder = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type='TimmBackboneAdapter', model_name='resnet50', output_stride=16))
