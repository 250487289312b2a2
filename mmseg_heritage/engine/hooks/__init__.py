"""Hooks of the training and test loops."""

from mmseg_heritage.engine.hooks.class_frequency_hook import ClassFrequencyHook
from mmseg_heritage.engine.hooks.curriculum_hook import CurriculumHook
from mmseg_heritage.engine.hooks.deferred_runtime_info_hook import DeferredRuntimeInfoHook
from mmseg_heritage.engine.hooks.inference_time_hook import InferenceTimeHook
from mmseg_heritage.engine.hooks.nan_loss_hook import NanLossHook
from mmseg_heritage.engine.hooks.prediction_hook import PredictionHook
from mmseg_heritage.engine.hooks.preemption_hook import EXIT_PREEMPTED, PreemptionHook
from mmseg_heritage.engine.hooks.throughput_hook import ThroughputHook
from mmseg_heritage.engine.hooks.whole_checkpoint_hook import WholeCheckpointHook

__all__ = [
    "EXIT_PREEMPTED",
    "ClassFrequencyHook",
    "CurriculumHook",
    "DeferredRuntimeInfoHook",
    "InferenceTimeHook",
    "NanLossHook",
    "PredictionHook",
    "PreemptionHook",
    "ThroughputHook",
    "WholeCheckpointHook",
]
