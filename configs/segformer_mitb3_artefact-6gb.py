# For a laptop with 6 GB of GPU memory: crops of 256 px, and 8 steps of 4 images for one update.
_base_ = ['./segformer_mitb3_artefact.py']

crop_size = 256
batch_size = 4
max_edge = 768
lr = 0.000333
optim_wrapper = dict(accumulative_counts=8)
