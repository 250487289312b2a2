# MixStyle (Zhou et al., ICLR 2021, arXiv:2104.02008) after the first two stages.
_base_ = ['./segformer_mitb3_artefact-erm-balanced.py']

custom_hooks = [
    *_base_.custom_hooks,
    dict(type='MixStyleHook', modules=['backbone.layers.0.2', 'backbone.layers.1.2'], prob=0.5,
         alpha=0.1)
]
