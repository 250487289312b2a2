# CoaT-Lite Small (Xu et al., ICCV 2021, arXiv:2104.06399), co-scale conv-attention.

# A config takes its parts: model, and batch and learning rate for one process with a large GPU (the
# rate follows the batch: 0.001 for 96 images).
encoder = dict(
    batch_size=48,
    lr=0.0005,
    model=dict(
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        backbone=dict(type='TimmBackboneAdapter', model_name='coat_lite_small',
                      img_size=224)))
