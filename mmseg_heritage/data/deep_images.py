"""Photographs with 16 bits per colour, of which Pillow keeps the upper half or misreads."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, PngImagePlugin, TiffImagePlugin

from mmseg_heritage.data.color import to_8_bit
from mmseg_heritage.errors import InputError

_INSTALL = "pip install tifffile imagecodecs"
_GREY = (0, 1)  # photometric interpretations: white is zero, black is zero
_CHANNELS = {2: ("RGB", 3), 5: ("CMYK", 4)}  # RGB, separated


def is_deep(image: Image.Image) -> bool:
    """Whether an image just opened by Pillow has colours, or grey and alpha, of over 8 bits."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        return len(bits) > 1 and max(bits) > 8
    if isinstance(image, PngImagePlugin.PngImageFile):
        return image.mode in ("RGB", "RGBA", "LA") and ";16" in str(image.tile[:1])
    return False


def read_deep(image: Image.Image, source: Path | bytes, label: str) -> Image.Image:
    """Reads what :func:`is_deep` with all its bits, and brings it to the nearest 8-bit levels.

    Args:
        image: The file as Pillow opened it, before its pixels are loaded.
        source: The same file for the other libraries.
        label: Name of the file for messages.

    Returns:
        An image of mode L, RGB or CMYK without alpha, not turned.

    Raises:
        InputError: If tifffile or a codec is missing, or the TIFF is of a kind that has no colours.
        ValueError: If the file is damaged.
    """
    if image.format == "TIFF":
        mode, deep = _read_tiff(source, label)
    else:
        mode, deep = _read_png(image, source)
    pixels = to_8_bit(deep)
    height, width = pixels.shape[:2]
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def _read_png(image: Image.Image, source: Path | bytes) -> tuple[str, np.ndarray]:
    image.load()  # raises on damage, where OpenCV would return the rows before it without a word
    content = source if isinstance(source, bytes) else source.read_bytes()
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ValueError("OpenCV cannot decode this 16-bit PNG")
    return "RGB", pixels[..., 2::-1]


def _read_tiff(source: Path | bytes, label: str) -> tuple[str, np.ndarray]:
    try:
        import tifffile
    except ImportError as error:
        raise InputError(
            f"{label}: reading a TIFF with 16 bits per colour needs tifffile; {_INSTALL}"
        ) from error
    try:
        with tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            page = file.pages[0]
            pixels = page.asarray(maxworkers=1)
            axes, photometric = page.axes, int(page.photometric)
    except Exception as error:  # of any kind: its codecs are a dozen libraries
        if "imagecodecs" in str(error) and find_spec("imagecodecs") is None:
            raise InputError(f"{label}: {error}; {_INSTALL}") from error
        raise ValueError(str(error)) from error
    if pixels.dtype != np.uint16 or axes not in ("YXS", "SYX"):
        raise InputError(
            f"{label}: expected channels of 8 or 16 bits, found {pixels.dtype} (axes {axes}); "
            "save the photograph as RGB or grey with 8 or 16 bits"
        )
    if axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    if photometric in _GREY:
        grey = pixels[..., 0]
        return "L", grey if photometric else 65535 - grey
    if photometric not in _CHANNELS:
        raise InputError(
            f"{label}: colours of the kind {page.photometric.name} with 16 bits cannot be read; "
            "save the photograph as RGB or grey"
        )
    mode, channels = _CHANNELS[photometric]
    return mode, pixels[..., :channels]
