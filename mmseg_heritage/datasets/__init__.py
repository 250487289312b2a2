"""What the training loop reads: the data set and its transforms."""

from mmseg_heritage.datasets.artefact import ARTeFACTDataset
from mmseg_heritage.datasets.photograph_backend import PhotographBackend
from mmseg_heritage.datasets.seeded import (
    NumberedInfiniteSampler,
    NumberedSampler,
    SeededDataset,
)
from mmseg_heritage.datasets.stacked_batch import stacked_collate
from mmseg_heritage.datasets.transforms import (
    HeritageAugmentation,
    LimitLongEdge,
    LoadARTeFACTAnnotations,
    LoadHeritageImage,
    RandomBlur,
    RandomFourierMix,
    RandomGrain,
    RandomJPEG,
    RandomPaintedDamage,
    RandomSquareCrop,
    RandomTint,
    RandomUnevenLight,
    RandomWarp,
    RandomYellowing,
    RareClassCrop,
)

__all__ = [
    "ARTeFACTDataset",
    "HeritageAugmentation",
    "LimitLongEdge",
    "LoadARTeFACTAnnotations",
    "LoadHeritageImage",
    "NumberedInfiniteSampler",
    "NumberedSampler",
    "PhotographBackend",
    "RandomBlur",
    "RandomFourierMix",
    "RandomGrain",
    "RandomJPEG",
    "RandomPaintedDamage",
    "RandomSquareCrop",
    "RandomTint",
    "RandomUnevenLight",
    "RandomWarp",
    "RandomYellowing",
    "RareClassCrop",
    "SeededDataset",
    "stacked_collate",
]
