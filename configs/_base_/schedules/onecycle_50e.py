# One cycle of the learning rate (Smith and Topin, 2018, arXiv:1708.07120), stepped every iteration:
# up along a cosine for 30 % of the iterations, then down along another. Each parameter group cycles
# up to its own rate, and the cycle is as long as the training.
_base_ = ['./adamw.py']

param_scheduler = [dict(type='PerGroupOneCycleLR', pct_start=0.3, convert_to_iter_based=True)]
