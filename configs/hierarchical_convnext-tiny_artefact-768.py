# Crops of 768 px, for thin damage.
_base_ = ['./hierarchical_convnext-tiny_artefact.py']

_base_.train_dataloader.dataset.pipeline[2].size = 768  # RareClassCrop
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=0.0001))
_base_.val_dataloader.dataset.pipeline[1].max_edge = 2048  # LimitLongEdge
