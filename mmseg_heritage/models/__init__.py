"""Backbones, decode heads, losses and segmentors; importing this package registers them."""

from mmseg_heritage.models import backbones, decode_heads, losses, segmentors

__all__ = ["backbones", "decode_heads", "losses", "segmentors"]
