"""Optimizer wrappers, their constructors, and schedules of the learning rate."""

from mmseg_heritage.engine.optim.device_amp_optim_wrapper import DeviceAmpOptimWrapper
from mmseg_heritage.engine.optim.layer_decay_optim_wrapper_constructor import (
    LayerDecayOptimWrapperConstructor,
)
from mmseg_heritage.engine.optim.per_group_one_cycle_lr import PerGroupOneCycleLR

__all__ = ["DeviceAmpOptimWrapper", "LayerDecayOptimWrapperConstructor", "PerGroupOneCycleLR"]
