# For a laptop with 6 GB of GPU memory: crops of 256 px, and 8 steps of 4 images for one update.
_base_ = ['./segformer_mitb3_artefact.py']

_base_.train_dataloader.dataset.pipeline[2].size = 256  # RareClassCrop
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(accumulative_counts=8, optimizer=dict(lr=0.000333))
model = dict(inference=dict(batch=1))
_base_.val_dataloader.dataset.pipeline[1].max_edge = 768  # LimitLongEdge
