# ResNet-50 (He et al., CVPR 2016, arXiv:1512.03385) at output stride 16.

# A config takes its parts: model, and batch and learning rate for one process with a large GPU (the
# rate follows the batch: 0.001 for 96 images).
encoder = dict(
    batch_size=64,
    lr=0.000667,
    model=dict(
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        backbone=dict(type='TimmBackboneAdapter', model_name='resnet50', output_stride=16)))
