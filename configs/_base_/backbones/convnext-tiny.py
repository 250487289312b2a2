# ConvNeXt-T (Liu et al., CVPR 2022, arXiv:2201.03545), convolutions only.
pretrained = None  # a local file, 'auto' (timm's weights, from its hub cache or by download), or None
# For one process with a large GPU; the learning rate follows the batch: 0.001 for 96 images.
encoder_batch_size = 96
encoder_lr = 0.001

encoder = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type='TimmBackboneAdapter', model_name='convnext_tiny', drop_path_rate=0.1))
