"""Backbones."""

from mmseg_heritage.models.backbones.timm_backbone_adapter import TimmBackboneAdapter

__all__ = ["TimmBackboneAdapter"]
