# The looks that aging, scanners and files give (tier 'heritage').
_base_ = ['./segformer_mitb3_artefact-erm-balanced.py']

_base_.train_dataloader.dataset.pipeline[3].tier = 'heritage'  # HeritageAugmentation
