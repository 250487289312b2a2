# Domain generalization, first baseline (docs/transfer.md): images as often as there are, plain
# empirical risk minimization. All others of its kind are a few lines on this one: they share data,
# losses, budget and averaging.
_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/segformer.py', '_base_/backbones/mitb3.py',
    '_base_/schedules/onecycle_4k.py', '_base_/runtime/default.py'
]

__encoder = _base_.pop('encoder')
model = __encoder.model
# Penalties are computed from cross entropy: it is trained too.
_base_.model.decode_head.loss_decode = [
    dict(type='ClassWeightedDiceLoss', class_weight=None),
    dict(type='MaskedCrossEntropyLoss', class_weight=None),
]
train_dataloader = dict(
    batch_size=__encoder.batch_size,
    sampler=dict(_delete_=True, type='NumberedInfiniteSampler', shuffle=True),
    dataset=dict(domain_key='material'))
optim_wrapper = dict(optimizer=dict(lr=__encoder.lr))
# The mean of the weights after a tenth of the training: what is validated, saved and tested.
custom_hooks = [
    dict(type='EMAHook', ema_type='StochasticWeightAverage', begin_iter=400, update_buffers=True)
]
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=500, save_best=None))
log_processor = dict(by_epoch=False)
