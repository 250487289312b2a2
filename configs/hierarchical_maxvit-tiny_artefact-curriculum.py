_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/hierarchical.py', '_base_/backbones/maxvit-tiny.py',
    '_base_/schedules/curriculum_100e.py', '_base_/runtime/default.py'
]

model = _base_.pop('encoder').model
train_dataloader = dict(batch_size=32)
