# SegFormer MiT-B3 on ARTeFACT: 16 classes, 384 px crops, batch 32, 50 epochs.
_base_ = [
    '_base_/datasets/artefact.py', '_base_/models/segformer_mitb3.py',
    '_base_/schedules/onecycle_50e.py', '_base_/runtime/default.py'
]
