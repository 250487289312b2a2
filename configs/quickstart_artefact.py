# The pipeline of segformer_mitb3_artefact, small enough to train on two CPU cores in minutes.
_base_ = ['./segformer_mitb3_artefact.py']

__sample_set = dict(data_root='data/sample', ann_file='splits/holdout.json')
_base_.train_dataloader.dataset.pipeline[2].size = 128  # RareClassCrop
# Many small steps: from random weights the number of steps counts.
train_dataloader = dict(batch_size=4, num_workers=1, dataset=__sample_set)
val_dataloader = test_dataloader = dict(num_workers=1, dataset=__sample_set)
model = dict(
    # The model learns from drawings of less than 256 px: on larger photographs, what it knows is at
    # that scale.
    inference=dict(scales=['fit:256']),
    backbone=dict(embed_dims=32, num_layers=[2, 2, 2, 2], drop_path_rate=0.0),  # MiT-B0
    decode_head=dict(
        channels=64, dropout_ratio=0.0,
        norm_cfg=dict(type='BN', requires_grad=True),
        # Cross entropy beside Dice: from random weights Dice alone takes longer than minutes.
        loss_decode=[
            dict(type='ClassWeightedDiceLoss', class_weight=None),
            dict(type='MaskedCrossEntropyLoss', class_weight=None),
        ]))
optim_wrapper = dict(optimizer=dict(lr=0.001))
# A short warm-up: there are only minutes.
param_scheduler = [dict(type='PerGroupOneCycleLR', pct_start=0.1, convert_to_iter_based=True)]
train_cfg = dict(val_interval=25)
default_hooks = dict(checkpoint=dict(interval=25), logger=dict(interval=50))
