"""Segmentors; importing this package registers them with mmsegmentation."""

from mmseg_heritage.models.segmentors.heritage_encoder_decoder import HeritageEncoderDecoder
from mmseg_heritage.models.segmentors.heritage_tta_model import HeritageTTAModel

__all__ = ["HeritageEncoderDecoder", "HeritageTTAModel"]
