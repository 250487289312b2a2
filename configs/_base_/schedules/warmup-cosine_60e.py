# The learning rate rises linearly over 8 epochs and falls along a cosine over the others (Loshchilov
# and Hutter, ICLR 2017, arXiv:1608.03983), stepped every iteration.
_base_ = ['./adamw.py']

optim_wrapper = dict(optimizer=dict(lr=0.0003))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, begin=0, end=8, by_epoch=True,
         convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=8, by_epoch=True, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=60)
