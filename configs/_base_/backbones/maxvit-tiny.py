# MaxViT-T (Tu et al., ECCV 2022, arXiv:2204.01697), convolutions and attention in windows and grids.

# A config takes its parts: model, and batch and learning rate for one process with a large GPU (the
# rate follows the batch: 0.001 for 96 images).
encoder = dict(
    batch_size=48,
    lr=0.0005,
    model=dict(
        data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
        backbone=dict(type='TimmBackboneAdapter', model_name='maxvit_tiny_tf_384',
                      img_size=384, drop_path_rate=0.1)))
