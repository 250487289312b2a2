"""What drives a run: launch, mixed precision, checkpoints, hooks."""

from mmseg_heritage.engine import checkpoint
from mmseg_heritage.engine.hooks import PredictionHook
from mmseg_heritage.engine.optim import DeviceAmpOptimWrapper

checkpoint.register_safe_loader()

__all__ = ["DeviceAmpOptimWrapper", "PredictionHook"]
