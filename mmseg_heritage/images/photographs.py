"""Reading photographs as 8-bit sRGB."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, TiffImagePlugin

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import strips, to_srgb
from mmseg_heritage.images.deep_color import deep_to_srgb
from mmseg_heritage.images.deep_images import read_deep_png, read_tiff
from mmseg_heritage.images.formats import HEIC, RAW
from mmseg_heritage.images.image_files import (
    OpenedImage,
    Source,
    label_of,
    open_image,
    strips_of,
    write_turned,
)
from mmseg_heritage.images.optional_formats import read_optional

# Their values have no fixed range (F) or no conversion in Pillow (LAB).
_NO_PHOTOGRAPH_MODES = ("F", "LAB")
_RESAVE = "save the photograph as RGB or gray with 8 or 16 bits"


def read_image(source: Source, name: str | None = None, page: int = 1) -> np.ndarray:
    """Reads a photograph as 8-bit sRGB, turned as its EXIF orientation says.

    Embedded color profiles are converted to sRGB, 16-bit levels are scaled to 8 bit, grayscale
    becomes three equal channels, CMYK becomes RGB, and an alpha channel is dropped
    (:func:`mmseg_heritage.images.color.to_srgb`).

    Memory, at most and for each pixel, beside 100 MB: 7 bytes; 19 for WebP; 20 for PNG of 16 bits
    with colors, and the file; for TIFF of 16 bits 3 and those of its channels, at most 16; for
    HEIC 9 or, of more than 8 bits, 11; for raw files 17.

    Args:
        source: Path or content of the file.
        name: What messages call it, if not by its path.
        page: Which of the pages of a TIFF that are no previews, from 1.

    Returns:
        uint8 array of shape (H, W, 3), RGB order.

    Raises:
        ImageFault: If the file is missing, truncated, no image, has more than :func:`max_pixels`,
            or has floating-point or Lab pixels.
    """
    with open_image(source, label_of(source, name), page=page) as opened:
        width, height = opened.header.size
        pixels = np.empty((height, width, 3), np.uint8)
        for rows, part in _srgb_strips(opened):
            write_turned(pixels, rows, part, opened.header.orientation)
        return pixels


def _srgb_strips(opened: OpenedImage) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the rows of a photograph in parts, uint8 (rows, W, 3), not turned."""
    header = opened.header
    if header.mode in _NO_PHOTOGRAPH_MODES:
        raise InputError(
            f"{opened.label}: pixels of mode {header.mode} cannot be shown as they are; {_RESAVE}"
        )
    if 8 < header.bits < 16:  # Pillow hands on 12 bits as very dark 16
        raise InputError(f"{opened.label}: levels of 9 to 15 bits cannot be read; {_RESAVE}")
    if header.is_deep or opened.pillow is None:
        yield from _channel_strips(opened)
    elif header.mode.startswith("I"):
        for rows, part in strips_of(opened):
            yield rows, deep_to_srgb(_gray_levels(part, opened), "L", header.profile)
    else:
        for rows, part in strips_of(opened):
            yield rows, np.asarray(to_srgb(part, header.profile))


def _channel_strips(opened: OpenedImage) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the rows of what Pillow does not read."""
    header = opened.header
    if header.format == "PNG":
        mode, pixels = "RGB", read_deep_png(opened.file)
        if header.mode == "LA":
            mode, pixels = "L", pixels[..., :1]
    elif header.format in (HEIC, RAW):
        mode, pixels = read_optional(opened.file, header.format)
    else:
        mode, pixels = read_tiff(opened.file, opened.label, header.orientation, opened.page)
    for rows in strips(*pixels.shape[:2]):
        yield rows, srgb_of(pixels[rows], mode, header.profile)


def srgb_of(pixels: np.ndarray, mode: str, profile: bytes | None) -> np.ndarray:
    """Brings pixels to 8-bit sRGB.

    Args:
        pixels: uint8 or uint16 (h, w, C).
        mode: "L", "RGB" or "CMYK", of 1, 3 or 4 channels.
        profile: ICC profile, or None.

    Returns:
        uint8 (h, w, 3).
    """
    pixels = np.ascontiguousarray(pixels)
    if pixels.dtype == np.uint16:
        return deep_to_srgb(pixels, mode, profile)
    image = Image.frombytes(mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
    return np.asarray(to_srgb(image, profile))


def _gray_levels(part: Image.Image, opened: OpenedImage) -> np.ndarray:
    """Returns gray of 16 bits, uint16 (rows, W, 1), black at zero."""
    levels = np.asarray(part)
    if levels.min() < 0 or levels.max() > 65535:
        raise InputError(f"{opened.label}: gray levels outside 0..65535; {_RESAVE}")
    levels = levels.astype(np.uint16, copy=False)[..., None]
    # Pillow inverts such files of 8 bits, but not those of 16.
    return ~levels if _is_white_zero(opened.pillow) else levels


def _is_white_zero(image: Image.Image | None) -> bool:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
