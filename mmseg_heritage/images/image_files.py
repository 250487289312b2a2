"""Opening image files: their headers, a limit on their size, and every fault named by its file."""

from __future__ import annotations

import io
import math
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import (
    ExifTags,
    Image,
    ImageFile,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import strips

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
"""Suffixes taken for photographs, compared in lower case."""

MAX_MEGAPIXELS_VARIABLE = "MMSEG_HERITAGE_MAX_MEGAPIXELS"
"""Environment variable, so that it reaches data-loading workers and every command alike."""
DEFAULT_MAX_MEGAPIXELS = 250.0
"""Million pixels that an image may have unless the environment says otherwise.

The largest photograph of ARTeFACT has about 133.
"""

# What Pillow raises for files that are cut off or are no images.
DECODE_ERRORS = (
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


def label_of(source: Source, name: str | None) -> str:
    """Returns what messages call an image: its name if given, else its path."""
    if name is not None:
        return name
    return "the image" if isinstance(source, bytes) else str(source)


def damage(label: str, what: str, error: Exception) -> ImageFault:
    """Puts into words what decoding an image or a mask failed with, one of DECODE_ERRORS."""
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
def open_image(source: Source, label: str) -> Iterator[ImageFile.ImageFile]:
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
        except DECODE_ERRORS as error:
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
    label = label_of(source, name)
    with open_image(source, label) as image:
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
        except DECODE_ERRORS as error:
            raise damage(label, "image", error) from error


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


def strips_of(image: Image.Image) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the rows of an image in parts: np.array of the whole would make two copies more."""
    for rows in strips(image.height, image.width):
        yield rows, np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
