# Mix Transformer B3, SegFormer's encoder (Xie et al., NeurIPS 2021, arXiv:2105.15203).

# A config takes its parts: model, and batch and learning rate for one process with a large GPU (the
# rate follows the batch: 0.001 for 96 images).
encoder = dict(
    batch_size=32,
    lr=0.000333,
    model=dict(
        data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
        backbone=dict(
            type='MixVisionTransformer',
            in_channels=3,
            embed_dims=64,
            num_stages=4,
            num_layers=[3, 4, 18, 3],
            num_heads=[1, 2, 5, 8],
            patch_sizes=[7, 3, 3, 3],
            sr_ratios=[8, 4, 2, 1],
            out_indices=(0, 1, 2, 3),
            mlp_ratio=4,
            qkv_bias=True,
            drop_rate=0.0,
            attn_drop_rate=0.0,
            drop_path_rate=0.1)))
