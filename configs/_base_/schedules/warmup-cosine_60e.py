# The learning rate rises linearly over 8 epochs and falls along a cosine over 52 (Loshchilov and
# Hutter, ICLR 2017, arXiv:1608.03983), stepped every iteration.
_base_ = ['./adamw.py']

lr = 0.0003
max_epochs = 60
warmup_epochs = 8

optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, begin=0, end=warmup_epochs, by_epoch=True,
         convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=warmup_epochs, end=max_epochs, by_epoch=True,
         convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=max_epochs)

schedule_variables = dict(
    lr=(lr, ['optim_wrapper.optimizer.lr']),
    max_epochs=(max_epochs, ['train_cfg.max_epochs', 'param_scheduler.1.end']),
    warmup_epochs=(warmup_epochs, ['param_scheduler.0.end', 'param_scheduler.1.begin']))
