"""Backbones, decode heads, losses and segmentors; importing this package registers them."""

from mmseg_heritage import compat

compat.stub_missing_mmcv_ops()  # before mmseg.models, which imports mmcv.ops

from mmseg_heritage.models import backbones, decode_heads, losses, segmentors  # noqa: E402

__all__ = ["backbones", "decode_heads", "losses", "segmentors"]
