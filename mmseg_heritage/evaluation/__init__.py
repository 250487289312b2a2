"""Scores: pure functions on integer counts, and the metric built on them.

Nothing but :class:`ConfusionMetric`, which is imported when it is first used, needs torch, so that
scores can be read and compared without loading it. What is written: :mod:`.store` and
:mod:`.summary`; every definition: ``docs/reference/metrics.md``.
"""

from typing import TYPE_CHECKING

from mmseg_heritage.utils.lazy import lazy_names

if TYPE_CHECKING:
    from mmseg_heritage.evaluation.metric import ConfusionMetric

__all__ = ["ConfusionMetric"]

__getattr__, __dir__ = lazy_names(__name__, {"ConfusionMetric": "mmseg_heritage.evaluation.metric"})
