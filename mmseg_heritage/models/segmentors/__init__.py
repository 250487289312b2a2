"""Segmentors; importing this package registers them with mmsegmentation."""

from mmseg_heritage.models.segmentors.heritage_encoder_decoder import HeritageEncoderDecoder

__all__ = ["HeritageEncoderDecoder"]
