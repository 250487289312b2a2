# SegFormer's decoder (Xie et al., NeurIPS 2021, arXiv:2105.15203).
_base_ = ['./encoder_decoder.py']

model = dict(decode_head=dict(type='HeritageSegformerHead', in_index=[0, 1, 2, 3], channels=256))
