# Swin-T (Liu et al., ICCV 2021, arXiv:2103.14030), attention in shifted windows.
pretrained = None  # a local file, 'auto' (timm's weights, from its hub cache or by download), or None
# For one process with a large GPU; the learning rate follows the batch: 0.001 for 96 images.
encoder_batch_size = 96
encoder_lr = 0.001

encoder = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(type='TimmBackboneAdapter', model_name='swin_tiny_patch4_window7_224',
                  img_size=224, drop_path_rate=0.1))

# The crop is the image size to build for.
encoder_variables = dict(crop_size=(224, ['encoder.backbone.img_size', 'model.backbone.img_size']))
