"""What the training loop reads: the data set and its transforms."""

from mmseg_heritage.datasets.artefact import ARTeFACTDataset
from mmseg_heritage.datasets.transforms import (
    LimitLongEdge,
    LoadARTeFACTAnnotations,
    LoadHeritageImage,
    RandomSquareCrop,
)

__all__ = [
    "ARTeFACTDataset",
    "LimitLongEdge",
    "LoadARTeFACTAnnotations",
    "LoadHeritageImage",
    "RandomSquareCrop",
]
