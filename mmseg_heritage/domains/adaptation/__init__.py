"""Test-time adaptation: fitting a model to each image before it is predicted."""

from mmseg_heritage.domains.adaptation.adaptation import Adaptation, AdaptationSettings
from mmseg_heritage.domains.adaptation.adaptation_hook import AdaptationHook

__all__ = ["Adaptation", "AdaptationHook", "AdaptationSettings"]
