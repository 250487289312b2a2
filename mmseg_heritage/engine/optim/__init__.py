"""Optimizer wrappers."""

from mmseg_heritage.engine.optim.device_amp_optim_wrapper import DeviceAmpOptimWrapper
from mmseg_heritage.engine.optim.layer_decay_optim_wrapper_constructor import (
    LayerDecayOptimWrapperConstructor,
)

__all__ = ["DeviceAmpOptimWrapper", "LayerDecayOptimWrapperConstructor"]
