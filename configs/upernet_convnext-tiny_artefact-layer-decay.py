# Earlier layers of the pretrained backbone learn more slowly.
_base_ = ['./upernet_convnext-tiny_artefact.py']

optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(decay_rate=0.8))  # from one layer to the one before it
