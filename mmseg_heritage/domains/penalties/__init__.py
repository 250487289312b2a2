"""Penalties on the differences between the domains of a batch."""

from mmseg_heritage.domains.penalties.domain_penalties import DomainPenalties
from mmseg_heritage.domains.penalties.domain_penalty import (
    CORALPenalty,
    DomainPenalty,
    FishrPenalty,
    GroupDROPenalty,
    IRMPenalty,
    VRExPenalty,
)

__all__ = [
    "CORALPenalty",
    "DomainPenalties",
    "DomainPenalty",
    "FishrPenalty",
    "GroupDROPenalty",
    "IRMPenalty",
    "VRExPenalty",
]
