"""Domain generalization: does a model work on a material or a content it has never seen?

Importing this package registers its parts with mmsegmentation.
"""

from mmseg_heritage.domains.adaptation import Adaptation, AdaptationHook, AdaptationSettings
from mmseg_heritage.domains.domain_batch_sampler import DomainBatchSampler
from mmseg_heritage.domains.domain_penalty_hook import DomainPenaltyHook
from mmseg_heritage.domains.mix_style_hook import MixStyleHook
from mmseg_heritage.domains.penalties import (
    CORALPenalty,
    DomainPenalties,
    DomainPenalty,
    FishrPenalty,
    GroupDROPenalty,
    IRMPenalty,
    VRExPenalty,
)

__all__ = [
    "Adaptation",
    "AdaptationHook",
    "AdaptationSettings",
    "CORALPenalty",
    "DomainBatchSampler",
    "DomainPenalties",
    "DomainPenalty",
    "DomainPenaltyHook",
    "FishrPenalty",
    "GroupDROPenalty",
    "IRMPenalty",
    "MixStyleHook",
    "VRExPenalty",
]
