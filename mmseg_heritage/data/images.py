"""Reading photographs and masks from disk, with every fault named by its file."""

from __future__ import annotations

import io
import math
import os
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import (
    ExifTags,
    Image,
    ImageFile,
    ImageOps,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from mmseg_heritage.data.color import strips, to_8_bit, to_srgb
from mmseg_heritage.data.deep_images import is_deep, read_deep
from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import FINE, IGNORE_INDEX

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
"""Suffixes taken for photographs, compared in lower case."""

MAX_MEGAPIXELS_VARIABLE = "MMSEG_HERITAGE_MAX_MEGAPIXELS"
"""Environment variable, so that it reaches data-loading workers and every command alike."""
DEFAULT_MAX_MEGAPIXELS = 250.0
"""Million pixels that an image may have unless the environment says otherwise.

The largest photograph of ARTeFACT has about 133.
"""

_MASK_MODES = ("L", "P", "I", "I;16", "I;16B", "I;16L")
_LEGAL_IDS = np.zeros(256, dtype=bool)
_LEGAL_IDS[[c.id for c in FINE] + [IGNORE_INDEX]] = True
# What Pillow raises for files that are cut off or are no images.
_DECODE_ERRORS = (
    MemoryError,
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
)
# Their values have no fixed range (F) or no conversion in Pillow (LAB).
_NO_PHOTOGRAPH_MODES = ("F", "LAB")
_RESAVE = "save the photograph as RGB or grey with 8 or 16 bits"
_TURNED_ORIENTATIONS = (5, 6, 7, 8)  # EXIF orientations that swap width and height


Source = str | Path | bytes
"""An image file: its path, or its content."""


class ImageFault(InputError):
    """A photograph or mask cannot be used.

    Args:
        summary: The message, beginning with the name of the file. Alone it must do: with it torch
            raises the error of a data-loading worker again.
        kind: "missing", "unreadable", "too large", "truncated", "mode", "size" or "ids".
        values: Of ids, the mask values that are none, with their numbers of pixels.
    """

    def __init__(
        self,
        summary: str,
        kind: str = "unreadable",
        values: Mapping[int, int] | None = None,
    ) -> None:
        self.kind = kind
        self.values = dict(values or {})
        super().__init__(summary)


def max_pixels() -> int:
    """Returns how many pixels an image may have, from the environment or 250 million.

    Raises:
        InputError: If the variable holds no positive number.
    """
    text = os.environ.get(MAX_MEGAPIXELS_VARIABLE)
    try:
        megapixels = DEFAULT_MAX_MEGAPIXELS if text is None else float(text)
    except ValueError:
        megapixels = math.nan
    if not 0 < megapixels < math.inf:
        raise InputError(
            f"{MAX_MEGAPIXELS_VARIABLE}: expected a number of megapixels above 0, found '{text}'"
        )
    return int(megapixels * 1e6)


def _label(source: Source, name: str | None) -> str:
    if name is not None:
        return name
    return "the image" if isinstance(source, bytes) else str(source)


def _damage(label: str, what: str, error: Exception) -> ImageFault:
    """Returns what decoding failed with, in words."""
    if isinstance(error, MemoryError):
        return ImageFault(f"{label}: not enough memory to decode the {what}", "too large")
    message = f"{label}: the {what} is truncated or damaged ({error}); copy it again"
    return ImageFault(message, "truncated")


class _PillowLimit:
    """Lifts Pillow's limits of 89 and 179 megapixels, one global variable, while any thread reads.

    Ours takes their place: it is checked against the header, before anything is decoded.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._limit: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._readers == 0:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._readers += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                Image.MAX_IMAGE_PIXELS = self._limit


_PILLOW_LIMIT_LIFTED = _PillowLimit()


@contextmanager
def _open(source: Source, label: str) -> Iterator[ImageFile.ImageFile]:
    """Opens an image lazily, and refuses one of more than :func:`max_pixels`."""
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise ImageFault(f"{label}: no such file", "missing")
    with _PILLOW_LIMIT_LIFTED:
        try:
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        except UnidentifiedImageError as error:
            raise ImageFault(
                f"{label}: cannot be read as an image; expected PNG, JPEG, WebP, BMP, or TIFF with "
                "8 or 16 bits per colour"
            ) from error
        except _DECODE_ERRORS as error:
            raise ImageFault(f"{label}: cannot be read as an image ({error})") from error
        with image:
            width, height = image.size
            if width * height > max_pixels():
                raise ImageFault(
                    f"{label}: {width}x{height} pixels are {width * height / 1e6:.6g} megapixels, "
                    f"more than the {max_pixels() / 1e6:g} allowed, since a damaged file can ask "
                    "for any amount of memory; if the image is really that large, set the "
                    "environment variable "
                    f"{MAX_MEGAPIXELS_VARIABLE}={math.ceil(width * height / 1e6)}",
                    "too large",
                )
            # By its name Pillow would map a grey TIFF into memory, and then scramble a turned one.
            image.filename = ""
            yield image


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        size: (width, height) in pixels as displayed.
        mode: Pillow's name of the stored pixels, such as "RGB".
        format: Pillow's name of the file format, such as "PNG".
        profile: Embedded ICC profile.
    """

    size: tuple[int, int]
    mode: str
    format: str
    profile: bytes | None


def image_size(source: Source, name: str | None = None) -> tuple[int, int]:
    """Returns (width, height) in pixels as displayed, reading the header only.

    Raises:
        ImageFault: As :func:`image_header`.
    """
    return image_header(source, name).size


def image_header(source: Source, name: str | None = None) -> ImageHeader:
    """Reads the header of an image, without its pixels.

    Args:
        source: Path or content of the file.
        name: What messages call it, if not by its path.

    Raises:
        ImageFault: If the file is missing, is no image, or has more than :func:`max_pixels`.
    """
    label = _label(source, name)
    with _open(source, label) as image:
        try:
            width, height = image.size
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                # Newer Pillow has swapped the size of a turned TIFF already; the tags never are.
                width = image.tag_v2[TiffImagePlugin.IMAGEWIDTH]
                height = image.tag_v2[TiffImagePlugin.IMAGELENGTH]
            exif = _header_exif(image, source)
            if exif.get(ExifTags.Base.Orientation) in _TURNED_ORIENTATIONS:
                width, height = height, width
            profile = image.info.get("icc_profile")
            return ImageHeader((width, height), image.mode, image.format or "", profile)
        except _DECODE_ERRORS as error:
            raise _damage(label, "image", error) from error


def _header_exif(image: Image.Image, source: Source) -> Image.Exif:
    """Returns the EXIF data; decodes pixels only where a PNG has its metadata behind them."""
    if isinstance(image, PngImagePlugin.PngImageFile) and not _has_late_metadata(source):
        # PngImageFile.getexif decodes the whole image to look for a late chunk.
        return Image.Image.getexif(image)
    return image.getexif()


def _has_late_metadata(source: Source) -> bool:
    """Whether a PNG has EXIF or XMP behind its pixels, where ExifTool writes it.

    Reads the heads of the chunks only.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb", 0) as file:
        file.seek(8)  # signature
        pixels_seen = False
        while len(head := file.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            if pixels_seen and kind in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"):
                return True
            pixels_seen |= kind == b"IDAT"
            file.seek(length + 4, os.SEEK_CUR)  # content and checksum
    return False


def read_image(source: Source, name: str | None = None) -> np.ndarray:
    """Reads a photograph as 8-bit sRGB, turned as its EXIF orientation says.

    Embedded colour profiles are converted to sRGB, 16-bit levels are scaled to 8 bit, greyscale
    becomes three equal channels, CMYK becomes RGB, and an alpha channel is dropped
    (:func:`mmseg_heritage.data.color.to_srgb`). Holds no more than about 8 bytes per pixel at once,
    and 10 to 20 for files of 16 bits, by their compression.

    Args:
        source: Path or content of the file.
        name: What messages call it, if not by its path.

    Returns:
        uint8 array of shape (H, W, 3), RGB order.

    Raises:
        ImageFault: If the file is missing, truncated, no image, has more than :func:`max_pixels`,
            or has floating-point or Lab pixels.
    """
    label = _label(source, name)
    with _open(source, label) as image:
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
        except _DECODE_ERRORS as error:
            raise _damage(label, "image", error) from error


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
    for rows, deep in _strips_of(image):
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


def _strips_of(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the rows of an image in parts: np.array of the whole would make two copies more."""
    for rows in strips(image.height, image.width):
        yield rows, np.asarray(image.crop((0, rows.start, image.width, rows.stop)))


def _copied(image: Image.Image) -> np.ndarray:
    """Returns the pixels of an RGB image as an array of their own."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows, part in _strips_of(image):
        pixels[rows] = part
    return pixels


def read_mask(
    source: Source, size: tuple[int, int] | None = None, name: str | None = None
) -> np.ndarray:
    """Reads an annotation, turned like a photograph: one class id in 0..15 or 255 for each pixel.

    Args:
        source: Path or content of a single-channel image file (Pillow modes L, P, I or I;16).
        size: Expected (width, height), that of the photograph.
        name: What messages call it, if not by its path.

    Returns:
        uint8 array of shape (H, W).

    Raises:
        ImageFault: If the file is missing, truncated, has several channels, another size, values
            that are no class ids, or more than :func:`max_pixels`.
    """
    label = _label(source, name)
    illegal: Counter[int] = Counter()

    def mode_of(image: Image.Image) -> str:
        if image.mode not in _MASK_MODES:
            raise InputError(
                f"{label}: expected a mask with one channel of class ids, found mode {image.mode}; "
                "save the ids, not their colours"
            )
        return image.mode

    def to_ids(values: np.ndarray) -> np.ndarray:
        illegal.update(_illegal_values(values))
        return values

    mask = read_labels(source, mode_of, to_ids, size, name)
    if illegal:
        shown = ", ".join(map(str, sorted(illegal)[:5])) + (", ..." if len(illegal) > 5 else "")
        raise ImageFault(
            f"{label}: expected class ids 0..15 or 255, found {shown} "
            f"({illegal.total()} of {mask.size} pixels)",
            "ids",
            illegal,
        )
    return mask


def read_labels(
    source: Source,
    mode_of: Callable[[Image.Image], str],
    to_ids: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int] | None = None,
    name: str | None = None,
) -> np.ndarray:
    """Reads an annotation of any coding, turned like a photograph.

    Args:
        source: Path or content of an image file.
        mode_of: Takes the file as Pillow opened it, and returns the mode that values are read in;
            raises InputError where the coding cannot be in such a file.
        to_ids: Takes the values of some rows, (rows, W) or (rows, W, channels), and returns their
            class ids, (rows, W).
        size: Expected (width, height), that of the photograph.
        name: What messages call it, if not by its path.

    Returns:
        uint8 array of shape (H, W).

    Raises:
        ImageFault: If the file is missing, truncated, of a mode that ``mode_of`` refuses, of
            another size, or has more than :func:`max_pixels`.
    """
    label = _label(source, name)
    with _open(source, label) as image:
        try:
            mode = mode_of(image)
            ImageOps.exif_transpose(image, in_place=True)
            labels = image if image.mode == mode else image.convert(mode)
            mask = np.empty((labels.height, labels.width), np.uint8)
            for rows, values in _strips_of(labels):
                mask[rows] = to_ids(values).astype(np.uint8, copy=False)
        except InputError as error:
            raise ImageFault(error.summary, "mode") from error
        except _DECODE_ERRORS as error:
            raise _damage(label, "mask", error) from error
    check_mask_size(mask, size, label)
    return mask


def check_mask_size(mask: np.ndarray, size: tuple[int, int] | None, label: str) -> None:
    """Verifies that a mask (H, W) has the (width, height) of its photograph, where that is known.

    Raises:
        ImageFault: If not.
    """
    height, width = mask.shape
    if size is not None and (width, height) != size:
        raise ImageFault(
            f"{label}: expected the size of its image, {size[0]}x{size[1]}, found {width}x{height}",
            "size",
        )


def _illegal_values(values: np.ndarray) -> dict[int, int]:
    """Returns the values that are no class ids, with their numbers of pixels."""
    if values.dtype == np.uint8 or (values.size and values.min() >= 0 and values.max() <= 255):
        # Counting is far faster than sorting on masks of many megapixels.
        counts = np.bincount(values.ravel(), minlength=256)
        return {int(v): int(counts[v]) for v in np.flatnonzero(counts * ~_LEGAL_IDS)}
    present, numbers = np.unique(values, return_counts=True)
    return {
        int(value): int(number)
        for value, number in zip(present, numbers, strict=True)
        if not (0 <= value <= 255 and _LEGAL_IDS[int(value)])
    }
