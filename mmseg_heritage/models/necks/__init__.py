"""Necks; importing this package registers them with mmsegmentation."""

from mmseg_heritage.models.necks.simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ["SimpleFeaturePyramid"]
