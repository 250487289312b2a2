"""Optimizer wrappers."""

from mmseg_heritage.engine.optim.device_amp_optim_wrapper import DeviceAmpOptimWrapper

__all__ = ["DeviceAmpOptimWrapper"]
