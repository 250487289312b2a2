"""Backbones, decode heads, losses and segmentors; importing this package registers them."""

from mmseg_heritage import compat

compat.stub_missing_mmcv_ops()  # before mmseg.models, which imports mmcv.ops

from mmseg_heritage.models.backbones import TimmBackboneAdapter  # noqa: E402
from mmseg_heritage.models.decode_heads import HierarchicalUPerHead, UNetHead  # noqa: E402
from mmseg_heritage.models.losses import (  # noqa: E402
    ClassWeightedDiceLoss,
    GeneralizedDiceLoss,
    MaskedCrossEntropyLoss,
    MulticlassFocalLoss,
)
from mmseg_heritage.models.segmentors import HeritageEncoderDecoder, HeritageTTAModel  # noqa: E402

__all__ = [
    "ClassWeightedDiceLoss",
    "GeneralizedDiceLoss",
    "HeritageEncoderDecoder",
    "HeritageTTAModel",
    "HierarchicalUPerHead",
    "MaskedCrossEntropyLoss",
    "MulticlassFocalLoss",
    "TimmBackboneAdapter",
    "UNetHead",
]
