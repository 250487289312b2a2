# Clean against Damage.
_base_ = ['./upernet_maxvit-tiny_artefact.py']

model = dict(decode_head=dict(num_classes=2))
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(level='binary'))
