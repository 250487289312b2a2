# One cycle of the learning rate (Smith and Topin, 2018, arXiv:1708.07120), stepped every iteration:
# up along a cosine for 30 % of the iterations, then down along another.
_base_ = ['./adamw.py']

lr = 0.000333
max_epochs = 50

param_scheduler = [
    dict(type='OneCycleLR', eta_max=lr, total_steps=max_epochs, pct_start=0.3,
         anneal_strategy='cos', by_epoch=True, convert_to_iter_based=True)
]

schedule_variables = dict(
    lr=(lr, ['optim_wrapper.optimizer.lr', 'param_scheduler.0.eta_max']),
    max_epochs=(max_epochs, ['train_cfg.max_epochs', 'param_scheduler.0.total_steps']))
