"""Photographs with 16 bits per colour, of which Pillow keeps the upper half or misreads."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, PngImagePlugin, TiffImagePlugin

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import strips, to_8_bit

_INSTALL = "pip install tifffile imagecodecs"
_GREY = (0, 1)  # photometric interpretations: white is zero, black is zero
_CHANNELS = {2: ("RGB", 3), 5: ("CMYK", 4)}  # RGB, separated
_PREMULTIPLIED = 1  # kind of extra sample: alpha that the colours were multiplied with


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
        mode, deep = _read_tiff(image, source, label)
    else:
        mode, deep = _read_png(image, source)
    pixels = to_8_bit(deep)
    height, width = pixels.shape[:2]
    return Image.frombuffer(mode, (width, height), pixels, "raw", mode, 0, 1)


def _read_png(image: Image.Image, source: Path | bytes) -> tuple[str, NDArray[np.uint16]]:
    pixels = _opencv_pixels(image, source)
    if pixels is None:
        raise ValueError("OpenCV cannot decode this 16-bit PNG")
    return "RGB", pixels[..., :3]


def _read_tiff(
    image: Image.Image, source: Path | bytes, label: str
) -> tuple[str, NDArray[np.uint16]]:
    try:
        import tifffile
    except ImportError as error:
        raise InputError(
            f"{label}: reading a TIFF with 16 bits per colour needs tifffile; {_INSTALL}"
        ) from error
    try:
        with tifffile.TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            page = file.pages[0]
            photometric = int(page.photometric)
            axes, dtype, extra = page.axes, page.dtype, tuple(map(int, page.extrasamples))
            if dtype != np.uint16 or axes not in ("YXS", "SYX"):
                raise InputError(
                    f"{label}: expected channels of 8 or 16 bits, found {dtype} (axes {axes}); "
                    "save the photograph as RGB or grey with 8 or 16 bits"
                )
            if photometric not in (*_GREY, *_CHANNELS):
                raise InputError(
                    f"{label}: colours of the kind {page.photometric.name} with 16 bits cannot be "
                    "read; save the photograph as RGB or grey"
                )
            pixels = _tiff_pixels(image, page, source, label)
    except InputError:
        raise
    except Exception as error:  # of any kind: its codecs are a dozen libraries
        raise ValueError(str(error)) from error
    if axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    mode, channels = _CHANNELS.get(photometric, ("L", 1))
    colors = pixels[..., :channels]
    if extra[:1] == (_PREMULTIPLIED,):
        colors = _unmultiplied(colors, pixels[..., channels])
    if mode == "L":
        colors = colors[..., 0] if photometric else 65535 - colors[..., 0]
    return mode, colors


def _tiff_pixels(image: Image.Image, page: Any, source: Path | bytes, label: str) -> np.ndarray:
    """Decodes a page; OpenCV, where it can, steps in for codecs that tifffile lacks."""
    try:
        return page.asarray(maxworkers=1)
    except ValueError as error:
        if "imagecodecs" not in str(error) or find_spec("imagecodecs") is not None:
            raise
        # OpenCV reads the usual codecs, but turns the picture, and not alike in all versions.
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        pixels = None if turned or page.axes != "YXS" else _opencv_pixels(image, source)
        if pixels is None or pixels.shape != page.shape:
            raise InputError(f"{label}: {error}; {_INSTALL}") from error
        return pixels


def _opencv_pixels(image: Image.Image, source: Path | bytes) -> NDArray[np.uint16] | None:
    """Decodes 16-bit RGB or RGBA; None where OpenCV cannot.

    Raises:
        OSError: If the file is damaged. Other errors of Pillow likewise.
    """
    image.load()  # raises on damage, where OpenCV may return the rows before it without a word
    content = source if isinstance(source, bytes) else source.read_bytes()
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    for rows in strips(*pixels.shape[:2]):  # in place: one more copy is 6 bytes for each pixel
        pixels[rows, :, :3] = pixels[rows, :, 2::-1].copy()
    return pixels


def _unmultiplied(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Returns colours as they were before they were multiplied with alpha."""
    out = np.empty_like(colors)
    for rows in strips(*alpha.shape):
        opacity = np.maximum(alpha[rows, :, None], 1).astype(np.float32) / 65535
        out[rows] = np.minimum(np.rint(colors[rows] / opacity), 65535)
    return out
