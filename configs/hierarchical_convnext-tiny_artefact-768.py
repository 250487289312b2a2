# Crops of 768 px, for thin damage.
_base_ = ['./hierarchical_convnext-tiny_artefact.py']

_base_.train_dataloader.dataset.pipeline[2].size = 768  # RareClassCrop
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(optimizer=dict(lr=0.0001))
for __pipeline in (_base_.val_dataloader.dataset.pipeline, _base_.test_dataloader.dataset.pipeline,
                   _base_.test_pipeline):
    __pipeline[1].max_edge = 2048  # LimitLongEdge
