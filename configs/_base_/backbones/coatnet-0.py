# CoAtNet-0 (Dai et al., NeurIPS 2021, arXiv:2106.04803), convolution stages, then attention.
pretrained = None  # a local file, 'auto' (timm's weights, from its hub cache or by download), or None
# For one process with a large GPU; the learning rate follows the batch: 0.001 for 96 images.
encoder_batch_size = 96
encoder_lr = 0.001

encoder = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    backbone=dict(type='TimmBackboneAdapter', model_name='coatnet_0_rw_224',
                  img_size=224, out_indices='all'))

# The crop is the image size to build for.
encoder_variables = dict(crop_size=(224, ['encoder.backbone.img_size', 'model.backbone.img_size']))
