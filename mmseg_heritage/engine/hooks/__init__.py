"""Hooks of the training and test loops."""

from mmseg_heritage.engine.hooks.curriculum_hook import CurriculumHook
from mmseg_heritage.engine.hooks.prediction_hook import PredictionHook

__all__ = ["CurriculumHook", "PredictionHook"]
