"""Sizes of images, whose headers one process reads once."""

from __future__ import annotations

from pathlib import Path

from mmseg_heritage.images.image_files import image_size, max_pixels
from mmseg_heritage.utils.file_state import WhileUnchanged

_SIZES: WhileUnchanged[tuple[int, int]] = WhileUnchanged()


def known_size(path: str | Path) -> tuple[int, int]:
    """Returns (width, height) in pixels as displayed; opens a file only if it has changed.

    Raises:
        ImageFault: As :func:`mmseg_heritage.images.image_files.image_size`.
    """
    return _SIZES.get((str(path), max_pixels()), [path], lambda: image_size(path))
