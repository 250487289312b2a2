# Crops with the low frequencies of photographs of other materials (RandomFourierMix).
_base_ = ['./segformer_mitb3_artefact-erm-balanced.py']

_base_.train_dataloader.dataset.pipeline.insert(
    3, dict(type='RandomFourierMix', beta=0.003, strength=(0.0, 0.5), prob=0.5))  # after the crop
