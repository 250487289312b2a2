# DeepLabV3+ (Chen et al., ECCV 2018, arXiv:1802.02611) at output stride 16.
_base_ = ['./encoder_decoder.py']

model = dict(
    decode_head=dict(
        type='DepthwiseSeparableASPPHead',
        in_index=3,
        channels=512,
        dilations=(1, 6, 12, 18),
        c1_in_channels='auto',
        c1_channels=48))
