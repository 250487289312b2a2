# One cycle over 100 epochs, in which Clean/Damage, the groups and the classes are learned one after
# the other (mmseg_heritage/engine/hooks/curriculum_hook.py).
_base_ = ['./onecycle_50e.py']

lr = 0.0001
max_epochs = 100

optim_wrapper = dict(optimizer=dict(lr=lr))
param_scheduler = [
    dict(type='OneCycleLR', eta_max=lr, total_steps=max_epochs, pct_start=0.3,
         anneal_strategy='cos', by_epoch=True, convert_to_iter_based=True)
]
train_cfg = dict(max_epochs=max_epochs)
custom_hooks = [
    dict(
        type='CurriculumHook',
        stages=[
            dict(end=0.2, level_weights=dict(binary=1.0, coarse=0.0, fine=0.0), lr_factor=1.0),
            dict(end=0.4, level_weights=dict(binary=0.2, coarse=1.0, fine=0.0), lr_factor=1.0),
            dict(end=1.0, level_weights=dict(binary=0.2, coarse=0.3, fine=1.0), lr_factor=1.0),
        ],
        freeze_idle=True)
]
find_unused_parameters = True  # frozen classifiers, under DistributedDataParallel

schedule_variables = dict(
    lr=(lr, ['optim_wrapper.optimizer.lr', 'param_scheduler.0.eta_max']),
    max_epochs=(max_epochs, ['train_cfg.max_epochs', 'param_scheduler.0.total_steps']))
