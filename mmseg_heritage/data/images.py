"""Reading photographs and masks from disk, with every fault named by its file."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, TiffImagePlugin

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import FINE, IGNORE_INDEX

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
"""Suffixes taken for photographs, compared in lower case."""

_MASK_MODES = ("L", "P", "I", "I;16", "I;16B", "I;16L")
_LEGAL_IDS = np.zeros(256, dtype=bool)
_LEGAL_IDS[[c.id for c in FINE] + [IGNORE_INDEX]] = True
# What Pillow raises for files that are cut off or are no images.
_DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
# Their values have no fixed range (F) or no conversion in Pillow (LAB).
_NO_PHOTOGRAPH_MODES = ("F", "LAB")
_TURNED_ORIENTATIONS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


def _open(path: Path) -> Image.Image:
    """Opens an image lazily. Heritage scans are large, so Pillow's size warning is not shown."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except _DECODE_ERRORS as error:
        raise InputError(f"{path}: cannot be read as an image ({error})") from error
    # By its name Pillow would map a grey TIFF into memory, and then scramble one that is turned.
    image.filename = ""
    return image


def image_size(path: str | Path) -> tuple[int, int]:
    """Returns (width, height) in pixels as displayed, reading the header only.

    Raises:
        InputError: If the file is missing or is no image.
    """
    path = Path(path)
    with _open(path) as image:
        try:
            width, height = image.size
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                # Newer Pillow has swapped the size of a turned TIFF already; the tags never are.
                width = image.tag_v2[TiffImagePlugin.IMAGEWIDTH]
                height = image.tag_v2[TiffImagePlugin.IMAGELENGTH]
            if _header_exif(image, path).get(ExifTags.Base.Orientation) in _TURNED_ORIENTATIONS:
                return height, width
            return width, height
        except _DECODE_ERRORS as error:
            raise InputError(f"{path}: the image is truncated or damaged ({error})") from error


def _header_exif(image: Image.Image, path: Path) -> Image.Exif:
    """Returns the EXIF data; decodes pixels only where a PNG has its metadata behind them."""
    if isinstance(image, PngImagePlugin.PngImageFile) and not _has_late_metadata(path):
        # PngImageFile.getexif decodes the whole image to look for a late chunk.
        return Image.Image.getexif(image)
    return image.getexif()


def _has_late_metadata(path: Path) -> bool:
    """Whether a PNG has EXIF or XMP behind its pixels, where ExifTool writes it.

    Reads the heads of the chunks only.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(8)  # signature
        pixels_seen = False
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if pixels_seen and kind in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"):
                return True
            pixels_seen |= kind == b"IDAT"
            file.seek(length + 4, os.SEEK_CUR)  # content and checksum
    return False


def read_image(path: str | Path) -> np.ndarray:
    """Reads a photograph as 8-bit RGB, turned as its EXIF orientation says.

    Greyscale becomes three equal channels, 16-bit greyscale is scaled to 8 bit, and an alpha
    channel is dropped.

    Returns:
        uint8 array of shape (H, W, 3), RGB order.

    Raises:
        InputError: If the file is missing, truncated, no image, or has floating-point or Lab
            pixels.
    """
    path = Path(path)
    with _open(path) as image:
        if image.mode in _NO_PHOTOGRAPH_MODES:
            raise InputError(
                f"{path}: pixels of mode {image.mode} cannot be shown as they are; "
                "save the photograph as RGB or grey with 8 or 16 bits"
            )
        try:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                grey = np.clip(np.asarray(upright, dtype=np.int64) // 257, 0, 255).astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=2)
            return np.array(upright.convert("RGB"))
        except _DECODE_ERRORS as error:
            raise InputError(
                f"{path}: the image is truncated or damaged ({error}); copy it again"
            ) from error


def read_mask(path: str | Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """Reads an annotation, turned like a photograph: one class id in 0..15 or 255 for each pixel.

    Args:
        path: Single-channel image file (Pillow modes L, P, I or I;16).
        size: Expected (width, height), that of the photograph.

    Returns:
        uint8 array of shape (H, W).

    Raises:
        InputError: If the file is missing, truncated, has several channels, another size, or
            values that are no class ids.
    """
    path = Path(path)
    with _open(path) as image:
        if image.mode not in _MASK_MODES:
            raise InputError(
                f"{path}: expected a mask with one channel of class ids, found mode {image.mode}; "
                "save the ids, not their colours"
            )
        try:
            mask = np.array(ImageOps.exif_transpose(image))
        except _DECODE_ERRORS as error:
            raise InputError(
                f"{path}: the mask is truncated or damaged ({error}); copy it again"
            ) from error
    height, width = mask.shape
    if size is not None and (width, height) != size:
        raise InputError(
            f"{path}: expected the size of its image, {size[0]}x{size[1]}, found {width}x{height}"
        )
    illegal = _illegal_values(mask)
    if illegal:
        shown = ", ".join(str(value) for value in illegal[:5]) + (", ..." if illegal[5:] else "")
        raise InputError(f"{path}: expected class ids 0..15 or 255, found {shown}")
    return mask.astype(np.uint8, copy=False)


def _illegal_values(mask: np.ndarray) -> list[int]:
    """Returns the sorted values of ``mask`` that are no class ids."""
    if mask.dtype == np.uint8:
        # Counting is far faster than sorting on masks of many megapixels.
        present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
        return [int(value) for value in present[~_LEGAL_IDS[present]]]
    values = np.unique(mask)
    return [int(v) for v in values if not (0 <= v <= 255 and _LEGAL_IDS[int(v)])]
