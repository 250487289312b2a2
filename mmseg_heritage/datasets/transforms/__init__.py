"""Transforms registered for data pipelines."""

from mmseg_heritage.datasets.transforms.geometry import LimitLongEdge, RandomSquareCrop
from mmseg_heritage.datasets.transforms.loading import LoadARTeFACTAnnotations, LoadHeritageImage

__all__ = ["LimitLongEdge", "LoadARTeFACTAnnotations", "LoadHeritageImage", "RandomSquareCrop"]
