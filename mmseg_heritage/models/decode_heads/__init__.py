"""Decoders; importing this package registers them with mmsegmentation."""

from mmseg_heritage.models.decode_heads.heritage_segformer_head import HeritageSegformerHead
from mmseg_heritage.models.decode_heads.hierarchical_uper_head import HierarchicalUPerHead
from mmseg_heritage.models.decode_heads.unet_head import UNetHead

__all__ = ["HeritageSegformerHead", "HierarchicalUPerHead", "UNetHead"]
