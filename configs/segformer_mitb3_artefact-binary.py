# Clean against Damage.
_base_ = ['./segformer_mitb3_artefact.py']

model = dict(decode_head=dict(num_classes=2))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(level='binary'))
