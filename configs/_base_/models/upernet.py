# UPerNet (Xiao et al., ECCV 2018, arXiv:1807.10221), at half the usual 512 channels: training takes
# about 2.7 times less (docs/reference/models.md).
_base_ = ['./encoder_decoder.py']

model = dict(
    decode_head=dict(
        type='UPerHead', in_index=[0, 1, 2, 3], channels=256, pool_scales=(1, 2, 3, 6)))
