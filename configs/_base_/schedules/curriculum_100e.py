# One cycle over 100 epochs, in which Clean/Damage, the groups and the classes are learned one after
# the other (CurriculumHook).
_base_ = ['./onecycle_50e.py']

optim_wrapper = dict(optimizer=dict(lr=0.0001))
train_cfg = dict(max_epochs=100)
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
