# U-Net's decoder (Ronneberger et al., MICCAI 2015, arXiv:1505.04597), the same for every backbone.
_base_ = ['./encoder_decoder.py']

model = dict(
    decode_head=dict(
        type='UNetHead',
        in_strides='auto',
        image_channels='auto',
        decoder_channels=(256, 128, 64, 32, 16),
        dropout_ratio=0.0))
