# Crops of 768 px, for thin damage.
_base_ = ['./hierarchical_convnext-tiny_artefact.py']

crop_size = 768
batch_size = 8
max_edge = 2048
lr = 0.0001
