# AdamW (Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101) in mixed precision, epoch by epoch.
optim_wrapper = dict(
    type='DeviceAmpOptimWrapper',
    dtype='auto',
    optimizer=dict(type='AdamW', lr=0.000333, betas=(0.9, 0.999), weight_decay=0.01))
train_cfg = dict(type='ResumableEpochLoop', max_epochs=50, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
