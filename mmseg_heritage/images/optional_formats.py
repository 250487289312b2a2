"""HEIC of telephones and raw files of cameras, where their libraries are installed."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from mmseg_heritage.images.formats import HEIC

_SRGB_CURVE = (2.4, 12.92)  # IEC 61966-2-1: exponent of the curve, and slope near black
_ON_THEIR_SIDE = (5, 6)  # LibRaw's numbers of the turns by a quarter


def optional_layout(file: BinaryIO, image_format: str) -> tuple[tuple[int, int], int, bytes | None]:
    """Reads what the header of a photograph says, without decoding its pixels.

    Args:
        file: At any position.
        image_format: HEIC or RAW of :mod:`mmseg_heritage.images.formats`, of which the library is
            installed.

    Returns:
        ((width, height) in pixels as displayed, bits of each channel, ICC profile or None).
    """
    if image_format == HEIC:
        image = _opened_heic(file)
        bits = 16 if int(image.info.get("bit_depth", 8)) > 8 else 8
        return image.size, bits, image.info.get("icc_profile")
    with _opened_raw(file) as raw:
        size = (raw.sizes.iwidth, raw.sizes.iheight)
        return size[::-1] if raw.sizes.flip in _ON_THEIR_SIDE else size, 16, None


def read_optional(file: BinaryIO, image_format: str) -> tuple[str, np.ndarray]:
    """Decodes a photograph, upright.

    Of a HEIC file with several images, the main one. A raw file is developed by LibRaw with the
    white balance of the camera, without brightening, to sRGB.

    Args:
        file: At any position.
        image_format: As :func:`optional_layout`.

    Returns:
        ("L" or "RGB", uint8 or uint16 (H, W, 1 or 3) in 0..255 or 0..65535).
    """
    if image_format == HEIC:
        image = _opened_heic(file)
        height, width = image.size[::-1]
        pixels = np.asarray(image).reshape(height, width, -1)
        return ("RGB", pixels[..., :3]) if pixels.shape[2] > 2 else ("L", pixels[..., :1])
    with _opened_raw(file) as raw:
        return "RGB", raw.postprocess(
            use_camera_wb=True, no_auto_bright=True, output_bps=16, gamma=_SRGB_CURVE
        )


def _opened_heic(file: BinaryIO) -> Any:
    import pillow_heif

    file.seek(0)
    return pillow_heif.open_heif(file, convert_hdr_to_8bit=False)


def _opened_raw(file: BinaryIO) -> Any:
    import rawpy

    file.seek(0)
    return rawpy.imread(file)
