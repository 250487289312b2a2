"""Hooks of the training and test loops."""

from mmseg_heritage.engine.hooks.class_frequency_hook import ClassFrequencyHook
from mmseg_heritage.engine.hooks.curriculum_hook import CurriculumHook
from mmseg_heritage.engine.hooks.inference_time_hook import InferenceTimeHook
from mmseg_heritage.engine.hooks.prediction_hook import PredictionHook

__all__ = ["ClassFrequencyHook", "CurriculumHook", "InferenceTimeHook", "PredictionHook"]
