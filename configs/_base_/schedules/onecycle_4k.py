# One cycle of the learning rate over 4000 iterations, whatever the data: runs on other parts of a data
# set have the same budget. The last weights are the result; no checkpoint is chosen.
_base_ = ['./adamw.py']

param_scheduler = [dict(type='PerGroupOneCycleLR', pct_start=0.3, by_epoch=False)]
train_cfg = dict(_delete_=True, type='ResumableIterLoop', max_iters=4000, val_interval=1000)
