"""Reading photographs as 8-bit sRGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import to_8_bit, to_srgb
from mmseg_heritage.images.deep_images import is_deep, read_deep
from mmseg_heritage.images.image_files import (
    DECODE_ERRORS,
    ImageFault,
    Source,
    damage,
    label_of,
    open_image,
    strips_of,
)

# Their values have no fixed range (F) or no conversion in Pillow (LAB).
_NO_PHOTOGRAPH_MODES = ("F", "LAB")
_RESAVE = "save the photograph as RGB or grey with 8 or 16 bits"


def read_image(source: Source, name: str | None = None) -> np.ndarray:
    """Reads a photograph as 8-bit sRGB, turned as its EXIF orientation says.

    Embedded colour profiles are converted to sRGB, 16-bit levels are scaled to 8 bit, greyscale
    becomes three equal channels, CMYK becomes RGB, and an alpha channel is dropped
    (:func:`mmseg_heritage.images.color.to_srgb`). Holds no more than about 8 bytes per pixel at
    once, and 10 to 20 for files of 16 bits, by their compression.

    Args:
        source: Path or content of the file.
        name: What messages call it, if not by its path.

    Returns:
        uint8 array of shape (H, W, 3), RGB order.

    Raises:
        ImageFault: If the file is missing, truncated, no image, has more than :func:`max_pixels`,
            or has floating-point or Lab pixels.
    """
    label = label_of(source, name)
    with open_image(source, label) as image:
        if image.mode in _NO_PHOTOGRAPH_MODES:
            raise ImageFault(
                f"{label}: pixels of mode {image.mode} cannot be shown as they are; {_RESAVE}",
                "mode",
            )
        try:
            profile = image.info.get("icc_profile")
            return _copied(to_srgb(_upright_8_bit(image, source, label), profile))
        except InputError as error:
            raise ImageFault(error.summary, "mode") from error
        except DECODE_ERRORS as error:
            raise damage(label, "image", error) from error


def _upright_8_bit(image: Image.Image, source: Source, label: str) -> Image.Image:
    """Decodes a photograph, brings it to 8 bits and turns it."""
    if not _has_full_range(image):
        raise InputError(f"{label}: grey levels of 9 to 15 bits cannot be read; {_RESAVE}")
    if is_deep(image):
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        deep_source = source if isinstance(source, bytes) else Path(source)
        image = read_deep(image, deep_source, label)
        if orientation is not None:
            image.getexif()[ExifTags.Base.Orientation] = orientation
    white_is_zero = image.mode.startswith("I") and _is_white_zero(image)
    ImageOps.exif_transpose(image, in_place=True)
    if not image.mode.startswith("I"):
        return image
    grey = np.empty((image.height, image.width), np.uint8)
    for rows, deep in strips_of(image):
        if deep.min() < 0 or deep.max() > 65535:
            raise InputError(f"{label}: grey levels outside 0..65535; {_RESAVE}")
        grey[rows] = to_8_bit(deep.astype(np.uint16, copy=False))
    # Pillow inverts such files of 8 bits, but not those of 16.
    return Image.fromarray(~grey if white_is_zero else grey)


def _has_full_range(image: Image.Image) -> bool:
    """Whether the levels fill 8 or 16 bits; Pillow hands on 12 bits as very dark 16."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return True
    bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    return not any(8 < b < 16 for b in bits)


def _is_white_zero(image: Image.Image) -> bool:
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    return image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0


def _copied(image: Image.Image) -> np.ndarray:
    """Returns the pixels of an RGB image as an array of their own."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows, part in strips_of(image):
        pixels[rows] = part
    return pixels
