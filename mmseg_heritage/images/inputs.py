"""Photographs as Python programs hold them: paths, Pillow images and arrays, brought to RGB."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import damage
from mmseg_heritage.images.photographs import read_image

ImageInput = str | Path | Image.Image | np.ndarray
"""A photograph: path of a file, Pillow image, or array of pixels."""

# Modes that TIFF holds as they are. Others (HSV, YCbCr, premultiplied alpha) become RGB first.
_TIFF_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "I", "I;16", "F", "LAB")


def as_rgb(image: ImageInput, page: int = 1) -> np.ndarray:
    """Brings a photograph to 8-bit sRGB.

    Args:
        image: Path of a file; or a Pillow image of any mode, whose EXIF orientation and color
            profile are applied as those of files are (of more than 8 bits for each of several
            colors, Pillow holds the upper 8 only: give the path); or a uint8 array of shape
            (H, W, 3) in the order red, green, blue, or (H, W) for gray levels, taken for sRGB.
        page: Of a file: which of the pages of a TIFF that are no previews, from 1.

    Returns:
        uint8 (H, W, 3), RGB, contiguous.

    Raises:
        InputError: If it is none of these, empty, or cannot be read, see
            :func:`mmseg_heritage.images.photographs.read_image`.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image), page=page)
    if isinstance(image, Image.Image):
        return _of_pillow(image)
    if isinstance(image, np.ndarray):
        return _of_array(image)
    raise InputError(
        "expected a photograph as a path, a Pillow image or a numpy array, found "
        f"{type(image).__name__}"
    )


def label_of(image: object) -> str:
    """Returns what messages and results call a photograph: its path, if it has one."""
    if isinstance(image, (str, os.PathLike)):
        return str(image)
    return str(getattr(image, "filename", "")) or "the image"


def _of_pillow(image: Image.Image) -> np.ndarray:
    """Reads a Pillow image through the reader of files, so that both are treated alike."""
    label = label_of(image)
    if 0 in image.size:
        raise InputError(f"{label}: the image is empty, {image.width}x{image.height} pixels")
    exif = Image.Exif()
    file = io.BytesIO()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
        if orientation is not None:
            exif[ExifTags.Base.Orientation] = orientation
        profile = image.info.get("icc_profile")
        held = image if image.mode in _TIFF_MODES else image.convert("RGB")
        held.save(file, "TIFF", compression="raw", icc_profile=profile, exif=exif)
    except Exception as error:  # a file that Pillow has opened is decoded only now
        raise damage(label, "image", error) from error
    return read_image(file.getvalue(), label)


def _of_array(array: np.ndarray) -> np.ndarray:
    """Verifies an array, and makes RGB of gray levels."""
    gray = array.ndim == 2
    if array.dtype != np.uint8 or not (gray or array.shape[2:] == (3,)) or array.size == 0:
        raise InputError(
            "expected an array of dtype uint8 and shape (H, W, 3) in the order red, green, blue, "
            f"or (H, W) of gray levels, found {array.dtype} {array.shape}; several images go into "
            "a list"
        )
    return np.ascontiguousarray(np.repeat(array[..., None], 3, axis=2) if gray else array)
