"""Photographs of every kind for mmcv's own loading step."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import BaseStorageBackend, register_backend

from mmseg_heritage.images.photographs import read_image

BACKEND = "mmseg_heritage.photographs"
"""Name of the backend in ``backend_args``."""


@register_backend(BACKEND)
class PhotographBackend(BaseStorageBackend):
    """Gives ``LoadImageFromFile`` the pixels that this package reads, whatever the file's format.

    In a pipeline::

        dict(type='LoadImageFromFile', backend_args=dict(backend='mmseg_heritage.photographs'))

    mmcv would ignore color profiles and cut 16 bits to 8. mmseg's inferencers look for a step of
    that type in the test pipeline, so that one of another type would lock them out.
    """

    def get(self, filepath: str | Path) -> bytes:
        """Reads a photograph, upright, as 8-bit sRGB.

        Args:
            filepath: Local file.

        Returns:
            An uncompressed PPM file (P6), which every decoder of mmcv reads at the cost of a copy.

        Raises:
            ImageFault: If the file is missing or cannot be read, naming it.
        """
        pixels = read_image(filepath)
        height, width = pixels.shape[:2]
        return b"P6\n%d %d\n255\n" % (width, height) + pixels.tobytes()

    def get_text(self, filepath: str | Path, encoding: str = "utf-8") -> str:
        """Photographs hold no text."""
        raise TypeError(f"{filepath}: the backend {BACKEND} reads photographs only")
