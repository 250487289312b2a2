# MaxViT-T with the map of stride 2 too, which U-Net takes for its last skip.
_base_ = ['./maxvit-tiny.py']

encoder = dict(model=dict(backbone=dict(out_indices='all')))
