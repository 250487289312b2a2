# The pipeline of segformer_mitb3_artefact, small enough to train on two CPU cores in minutes.
_base_ = ['./segformer_mitb3_artefact.py']

data_root = 'data/sample'
split_file = 'splits/holdout.json'

model = dict(
    backbone=dict(embed_dims=32, num_layers=[2, 2, 2, 2], drop_path_rate=0.0),
    decode_head=dict(
        in_channels=[32, 64, 160, 256], channels=64, dropout_ratio=0.0,
        norm_cfg=dict(type='BN', requires_grad=True)))
pretrained_name = 'mit_b0'

train_dataloader = dict(
    batch_size=8, num_workers=1,
    dataset=dict(data_root=data_root, ann_file=split_file,
                 pipeline={{_base_.train_pipeline}}))
