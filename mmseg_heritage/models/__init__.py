"""Backbones, decode heads, losses and segmentors; importing this package registers them."""

from mmseg_heritage.models import losses

__all__ = ["losses"]
