# Swin-T (Liu et al., ICCV 2021, arXiv:2103.14030), attention in shifted windows.

# A config takes its parts: model, and batch and learning rate for one process with a large GPU (the
# rate follows the batch: 0.001 for 96 images).
encoder = dict(
    batch_size=96,
    lr=0.001,
    model=dict(
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        backbone=dict(type='TimmBackboneAdapter', model_name='swin_tiny_patch4_window7_224',
                      img_size=224, drop_path_rate=0.1)))
