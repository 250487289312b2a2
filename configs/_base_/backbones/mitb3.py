# Mix Transformer B3, SegFormer's encoder (Xie et al., NeurIPS 2021, arXiv:2105.15203).
pretrained = None  # a local file, 'auto' (download), or None (random weights)
pretrained_name = 'mit_b3'  # what 'auto' fetches (mmseg_heritage/runs/pretrained.py)
# For one process with a large GPU; the learning rate follows the batch: 0.001 for 96 images.
encoder_batch_size = 32
encoder_lr = 0.000333

encoder = dict(
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
        drop_path_rate=0.1))
