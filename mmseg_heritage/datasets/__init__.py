"""What the training loop reads: the data set and its transforms."""

from mmseg_heritage.datasets.artefact import ARTeFACTDataset
from mmseg_heritage.datasets.photograph_backend import PhotographBackend
from mmseg_heritage.datasets.seeded import (
    NumberedInfiniteSampler,
    NumberedSampler,
    SeededDataset,
)
from mmseg_heritage.datasets.transforms import (
    HeritageAugmentation,
    LimitLongEdge,
    LoadARTeFACTAnnotations,
    LoadHeritageImage,
    RandomBlur,
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
]
