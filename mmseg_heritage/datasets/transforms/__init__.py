"""Transforms registered for data pipelines."""

from mmseg_heritage.datasets.transforms.augmentation import HeritageAugmentation
from mmseg_heritage.datasets.transforms.fourier_mix import RandomFourierMix
from mmseg_heritage.datasets.transforms.geometry import LimitLongEdge, RandomSquareCrop
from mmseg_heritage.datasets.transforms.loading import LoadARTeFACTAnnotations, LoadHeritageImage
from mmseg_heritage.datasets.transforms.painted_damage import RandomPaintedDamage
from mmseg_heritage.datasets.transforms.photometric import (
    RandomBlur,
    RandomGrain,
    RandomJPEG,
    RandomTint,
    RandomUnevenLight,
    RandomYellowing,
)
from mmseg_heritage.datasets.transforms.rare_class_crop import RareClassCrop
from mmseg_heritage.datasets.transforms.warp import RandomWarp

__all__ = [
    "HeritageAugmentation",
    "LimitLongEdge",
    "LoadARTeFACTAnnotations",
    "LoadHeritageImage",
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
]
