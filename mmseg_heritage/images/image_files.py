"""Opening image files: their headers, a limit on their size, and every fault named by its file."""

from __future__ import annotations

import io
import math
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import strips
from mmseg_heritage.images.deep_images import is_misread, tiff_layout
from mmseg_heritage.images.formats import HEAD_BYTES, HEIC, RAW, format_of, refusal
from mmseg_heritage.images.metadata import (
    Metadata,
    legal_orientation,
    orientation_of,
    pixels_only,
)
from mmseg_heritage.images.optional_formats import optional_layout

MAX_MEGAPIXELS_VARIABLE = "MMSEG_HERITAGE_MAX_MEGAPIXELS"
"""Environment variable, so that it reaches data-loading workers and every command alike."""
DEFAULT_MAX_MEGAPIXELS = 250.0
"""Million pixels that an image may have unless the environment says otherwise.

The largest photograph of ARTeFACT has about 133.
"""

MAX_SIDE = 1_000_000
"""Pixels that a side of an image may have: Pillow takes 8 to 24 bytes for each row."""

_LOSSY_COMPRESSIONS = ("jpeg", "tiff_jpeg", "webp")  # of a TIFF
# Of the upright image, down and across, before it is transposed where the orientation is over 4.
_FLIPS = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1),
          5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}  # fmt: skip
# Tags of a TIFF; the first bit of the type says that this is a smaller copy of another page.
_ORIENTATION, _SUBFILE_TYPE, _PROFILE = 274, 254, 34675

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
    """Puts into words what decoding an image or a mask failed with, of whatever kind."""
    if isinstance(error, MemoryError):
        return ImageFault(f"{label}: not enough memory to decode the {what}", "too large")
    reason = " ".join(str(error).split())  # of some libraries, several lines
    message = f"{label}: the {what} is truncated or damaged ({reason}); copy it again"
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


PILLOW_LIMIT_LIFTED = _PillowLimit()


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Attributes:
        size: (width, height) in pixels as displayed.
        mode: Pillow's name of the stored pixels, such as "RGB".
        format: Pillow's name of the file format, such as "PNG"; or HEIC or RAW of
            :mod:`mmseg_heritage.images.formats`.
        profile: Embedded ICC profile.
        orientation: That of EXIF, 1 to 8; 1 where there is none.
        bits: Bits of each channel as stored.
        is_lossy: Whether the format changes values, or what is decoded was not stored so.
    """

    size: tuple[int, int]
    mode: str
    format: str
    profile: bytes | None
    orientation: int = 1
    bits: int = 8
    is_lossy: bool = False

    @property
    def is_deep(self) -> bool:
        """Returns whether colors, or gray and alpha, have over 8 bits, which Pillow cuts."""
        return self.bits > 8 and not self.mode.startswith(("I", "F"))

    @property
    def stored_size(self) -> tuple[int, int]:
        """Returns (width, height) before turning."""
        return self.size if self.orientation < 5 else self.size[::-1]


@dataclass(frozen=True)
class OpenedImage:
    """An image file that was opened but not decoded.

    Attributes:
        header: What its header says.
        file: Its content: for PNG and JPEG, without metadata.
        pillow: It as Pillow opened it; None for a TIFF of a layout that only tifffile reads, and
            for HEIC and raw files.
        label: What messages call it.
        page: Which of the pages of a TIFF that are no previews, from 1.
    """

    header: ImageHeader
    file: BinaryIO
    pillow: ImageFile.ImageFile | None
    label: str
    page: int = 1


@contextmanager
def open_image(
    source: Source, label: str, what: str = "image", page: int = 1
) -> Iterator[OpenedImage]:
    """Opens an image lazily, of a format that is read and of at most :func:`max_pixels`.

    Whatever goes wrong within the ``with`` becomes an ImageFault.

    Args:
        source: Path or content of the file.
        label: What messages call it.
        what: "image" or "mask", for messages.
        page: Which of the pages of a TIFF that are no previews, from 1.

    Raises:
        ImageFault: If the file is missing, is no image, is too large, has no such page, or fails to
            be decoded.
        InputError: As :func:`max_pixels`.
    """
    max_pixels()  # a wrong environment is no fault of the file
    if not isinstance(source, bytes) and not Path(source).is_file():
        is_folder = Path(source).is_dir()
        found = "a folder, where one image file is expected" if is_folder else "no such file"
        raise ImageFault(f"{label}: {found}", "missing")
    try:
        with PILLOW_LIMIT_LIFTED, _file_of(source) as file:
            suffix = "" if isinstance(source, bytes) else Path(source).suffix
            yield _opened(file, label, suffix, page)
    except ImageFault:
        raise
    except InputError as error:
        raise ImageFault(error.summary, "mode") from error
    except Exception as error:  # decoders raise nearly everything: TypeError, OverflowError, ...
        raise damage(label, what, error) from error


def _file_of(source: Source) -> BinaryIO:
    # Unbuffered: walking over the heads of a PNG's chunks would read 8 kB for each.
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb", 0)


def _opened(file: BinaryIO, label: str, suffix: str, page: int) -> OpenedImage:
    head = file.read(HEAD_BYTES)
    image_format = format_of(head, suffix)
    if image_format is None:
        raise ImageFault(f"{label}: {refusal(head, suffix)}")
    if page > 1 and image_format != "TIFF":
        raise ImageFault(f"{label}: page {page} was asked for, but {image_format} holds one image")
    metadata = None
    if image_format in (HEIC, RAW):
        size, bits, profile = optional_layout(file, image_format)
        check_size(label, *size)
        header = ImageHeader(size, "RGB", image_format, profile, bits=bits, is_lossy=True)
        return OpenedImage(header, file, None, label, page)
    if image_format in ("PNG", "JPEG"):
        file, metadata = pixels_only(file, image_format)
    elif isinstance(file, io.RawIOBase):
        file = io.BufferedReader(file)
    try:
        image = Image.open(file, formats=(image_format,))
        _seek_photograph(image, page)
    except Exception as error:
        if image_format == "TIFF":
            return _opened_by_tifffile(file, label, page)
        if isinstance(error, UnidentifiedImageError):
            raise ImageFault(f"{label}: cannot be read as an image; copy it again") from error
        raise
    if is_misread(image):
        return _opened_by_tifffile(file, label, page)
    metadata = _metadata_of(image, metadata)
    width, height = _stored_size(image)
    # Gray and alpha of 16 bits, Pillow calls RGBA; byte 25 is the color type in IHDR.
    header = ImageHeader(
        size=(width, height) if metadata.orientation < 5 else (height, width),
        mode="LA" if image_format == "PNG" and head[25] == 4 else image.mode,
        format=image_format,
        profile=metadata.profile,
        orientation=metadata.orientation,
        bits=_bits_of(image, head),
        is_lossy=image_format in ("JPEG", "WEBP")
        or image.info.get("compression") in _LOSSY_COMPRESSIONS,
    )
    check_size(label, *header.size)
    return OpenedImage(header, file, image, label, page)


def _opened_by_tifffile(file: BinaryIO, label: str, page: int) -> OpenedImage:
    layout = tiff_layout(file, label, page)
    size = layout.size if layout.orientation < 5 else layout.size[::-1]
    check_size(label, *size)
    header = ImageHeader(size, layout.mode, "TIFF", layout.profile, layout.orientation, layout.bits)
    return OpenedImage(header, file, None, label, page)


def _seek_photograph(image: Image.Image, page: int) -> None:
    """Goes to a page of a TIFF, counting those that are no previews; EOFError if there is none."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    while _is_preview(image) or page > 1:
        page -= not _is_preview(image)
        image.seek(image.tell() + 1)


def _is_preview(page: TiffImagePlugin.TiffImageFile) -> bool:
    kind = page.tag_v2.get(_SUBFILE_TYPE)
    return isinstance(kind, int) and bool(kind & 1)


def _metadata_of(image: Image.Image, found: Metadata | None) -> Metadata:
    """Returns orientation and profile, and takes the tags from a TIFF.

    Pillow would parse all of them when it decodes, and turn it by itself.
    """
    info = {key: image.info.pop(key, None) for key in ("exif", "xmp", "icc_profile")}
    info = {key: value for key, value in info.items() if isinstance(value, bytes)}
    if found is None:
        orientation = orientation_of(info.get("exif", b""), info.get("xmp", b""))
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            orientation = legal_orientation(image.tag_v2.get(_ORIENTATION), orientation)
            # Of this page: Pillow keeps the profile of the first one where another has none.
            profile = image.tag_v2.get(_PROFILE)
            info["icc_profile"] = profile if isinstance(profile, bytes) else b""
        found = Metadata(orientation, info.get("icc_profile") or None)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        exif = image.getexif()
        for tag in list(exif):
            del exif[tag]
    return found


def _stored_size(image: Image.Image) -> tuple[int, int]:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # Newer Pillow has swapped the size of a turned TIFF already; the tags never are.
        tags = image.tag_v2
        return int(tags[TiffImagePlugin.IMAGEWIDTH]), int(tags[TiffImagePlugin.IMAGELENGTH])
    return image.size


def _bits_of(image: Image.Image, head: bytes) -> int:
    if image.format == "PNG":
        return head[24]  # of IHDR
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,))))
    return 8


def check_size(label: str, width: int, height: int) -> None:
    """Refuses images of more pixels than allowed, and such as are longer than any photograph.

    Raises:
        ImageFault: With the sizes and the way out.
    """
    if width < 1 or height < 1:
        raise ImageFault(f"{label}: {width}x{height} pixels; expected at least one; copy it again")
    if width * height > max_pixels():
        raise ImageFault(
            f"{label}: {width}x{height} pixels are {width * height / 1e6:.6g} megapixels, "
            f"more than the {max_pixels() / 1e6:g} allowed, since a damaged file can ask "
            "for any amount of memory; if the image is really that large, set the "
            "environment variable "
            f"{MAX_MEGAPIXELS_VARIABLE}={math.ceil(width * height / 1e6)}",
            "too large",
        )
    if max(width, height) > MAX_SIDE:
        raise ImageFault(
            f"{label}: {width}x{height} pixels; expected sides of at most {MAX_SIDE}, since each "
            "row takes memory of its own; cut the image into parts",
            "too large",
        )


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
    with open_image(source, label_of(source, name)) as opened:
        return opened.header


def strips_of(opened: OpenedImage) -> Iterator[tuple[slice, Image.Image]]:
    """Decodes an image that Pillow reads, and yields its rows in parts, not turned.

    All pixels are held once, in 1 to 4 bytes, or 20 for WebP; a part is a copy.
    """
    if opened.pillow is None:
        raise InputError(f"{opened.label}: pixels of this layout cannot be read one by one")
    width, height = opened.header.stored_size
    for rows in strips(height, width):
        # By its own size: Pillow swaps that of a turned TIFF.
        yield rows, opened.pillow.crop((0, rows.start, width, rows.stop))


def write_turned(pixels: np.ndarray, rows: slice, part: np.ndarray, orientation: int) -> None:
    """Writes rows of an image as it is stored to where they belong in the upright image.

    Args:
        pixels: (H, W) or (H, W, C), as displayed; changed.
        rows: Of the stored image, which has W of them where it lies on a side.
        part: Their pixels.
        orientation: That of EXIF, 1 to 8.
    """
    down, across = _FLIPS[orientation]
    if orientation > 4:
        part = cv2.transpose(part)
    flipped = pixels[::down, ::across]
    target = flipped[:, rows] if orientation > 4 else flipped[rows]
    # OpenCV flips several times as fast as numpy, which then writes row by row.
    if (down, across) != (1, 1):
        part = cv2.flip(part, {(-1, 1): 0, (1, -1): 1, (-1, -1): -1}[down, across])
    target[::down, ::across] = part
