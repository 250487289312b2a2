"""Scores: pure functions on integer confusion counts, and the metric built on them."""

from mmseg_heritage.evaluation.metric import ConfusionMetric

__all__ = ["ConfusionMetric"]
