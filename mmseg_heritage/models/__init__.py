"""Backbones, necks, decode heads, losses and segmentors; importing this package registers them."""

from mmseg_heritage.models.backbones import TimmBackboneAdapter
from mmseg_heritage.models.data_preprocessor import HeritageDataPreProcessor
from mmseg_heritage.models.decode_heads import (
    HeritageSegformerHead,
    HierarchicalUPerHead,
    UNetHead,
)
from mmseg_heritage.models.losses import (
    ClassWeightedDiceLoss,
    GeneralizedDiceLoss,
    MaskedCrossEntropyLoss,
    MulticlassFocalLoss,
)
from mmseg_heritage.models.necks import SimpleFeaturePyramid
from mmseg_heritage.models.segmentors import HeritageEncoderDecoder, HeritageTTAModel

__all__ = [
    "ClassWeightedDiceLoss",
    "GeneralizedDiceLoss",
    "HeritageDataPreProcessor",
    "HeritageEncoderDecoder",
    "HeritageSegformerHead",
    "HeritageTTAModel",
    "HierarchicalUPerHead",
    "MaskedCrossEntropyLoss",
    "MulticlassFocalLoss",
    "SimpleFeaturePyramid",
    "TimmBackboneAdapter",
    "UNetHead",
]
