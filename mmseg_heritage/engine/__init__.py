"""What drives a run: hooks, loops, optimizer wrappers, logs. Importing this registers it."""

from mmseg_heritage.engine.csv_vis_backend import CsvVisBackend
from mmseg_heritage.engine.hooks import (
    ClassFrequencyHook,
    CurriculumHook,
    DeferredRuntimeInfoHook,
    InferenceTimeHook,
    NanLossHook,
    PredictionHook,
    PreemptionHook,
    ThroughputHook,
    WholeCheckpointHook,
)
from mmseg_heritage.engine.loops import ResumableEpochLoop, ResumableIterLoop
from mmseg_heritage.engine.optim import (
    DeviceAmpOptimWrapper,
    LayerDecayOptimWrapperConstructor,
    PerGroupOneCycleLR,
)

__all__ = [
    "ClassFrequencyHook",
    "CsvVisBackend",
    "CurriculumHook",
    "DeferredRuntimeInfoHook",
    "DeviceAmpOptimWrapper",
    "InferenceTimeHook",
    "LayerDecayOptimWrapperConstructor",
    "NanLossHook",
    "PerGroupOneCycleLR",
    "PredictionHook",
    "PreemptionHook",
    "ResumableEpochLoop",
    "ResumableIterLoop",
    "ThroughputHook",
    "WholeCheckpointHook",
]
