# AdamW and one cycle of the learning rate (Smith and Topin, 2018, arXiv:1708.07120), stepped every
# iteration: 30 % linear-to-cosine warm-up, then annealing.
lr = 0.000333
max_epochs = 50

optim_wrapper = dict(
    type='DeviceAmpOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=lr, betas=(0.9, 0.999), weight_decay=0.01))
param_scheduler = [
    dict(type='OneCycleLR', eta_max=lr, total_steps=max_epochs, pct_start=0.3,
         anneal_strategy='cos', by_epoch=True, convert_to_iter_based=True)
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

schedule_variables = dict(
    lr=(lr, ['optim_wrapper.optimizer.lr', 'param_scheduler.0.eta_max']),
    max_epochs=(max_epochs, ['train_cfg.max_epochs', 'param_scheduler.0.total_steps']))
