# The pipeline of segformer_mitb3_artefact, small enough to train on two CPU cores in minutes.
_base_ = ['./segformer_mitb3_artefact.py']

data_root = 'data/sample'
split_file = 'splits/holdout.json'
crop_size = 128
batch_size = 4  # many small steps: from random weights the number of steps counts
num_workers = 1
lr = 0.001
max_epochs = 50

pretrained_name = 'mit_b0'
model = dict(
    backbone=dict(embed_dims=32, num_layers=[2, 2, 2, 2], drop_path_rate=0.0),
    decode_head=dict(
        channels=64, dropout_ratio=0.0,
        norm_cfg=dict(type='BN', requires_grad=True),
        # Cross entropy beside Dice: from random weights Dice alone takes longer than minutes.
        loss_decode=[
            dict(type='ClassWeightedDiceLoss', class_weight=None),
            dict(type='MaskedCrossEntropyLoss'),
        ]))
# A short warm-up: there are only minutes.
param_scheduler = [
    dict(type='OneCycleLR', eta_max=lr, total_steps=max_epochs, pct_start=0.1,
         anneal_strategy='cos', by_epoch=True, convert_to_iter_based=True)
]
train_cfg = dict(val_interval=25)
default_hooks = dict(checkpoint=dict(interval=25), logger=dict(interval=50))
