# AdamW (Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101) in mixed precision, epoch by epoch.
lr = 0.000333
max_epochs = 50

optim_wrapper = dict(
    type='DeviceAmpOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=lr, betas=(0.9, 0.999), weight_decay=0.01))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

schedule_variables = dict(
    lr=(lr, ['optim_wrapper.optimizer.lr']),
    max_epochs=(max_epochs, ['train_cfg.max_epochs']))
