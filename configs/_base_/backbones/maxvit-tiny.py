# MaxViT-T (Tu et al., ECCV 2022, arXiv:2204.01697), convolutions and attention in windows and grids.
pretrained = None  # a local file, 'auto' (timm's weights, from its hub cache or by download), or None
# For one process with a large GPU; the learning rate follows the batch: 0.001 for 96 images.
encoder_batch_size = 48
encoder_lr = 0.0005

encoder = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(type='TimmBackboneAdapter', model_name='maxvit_tiny_tf_384',
                  img_size=384, drop_path_rate=0.1))

# The crop is the image size to build for.
encoder_variables = dict(crop_size=(384, ['encoder.backbone.img_size', 'model.backbone.img_size']))
