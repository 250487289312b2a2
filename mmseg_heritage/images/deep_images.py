"""Photographs of which Pillow keeps the upper half of 16 bits, or which it cannot read.

PNG of 16 bits is read by OpenCV, TIFF by tifffile.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import Any, BinaryIO

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import strips
from mmseg_heritage.images.metadata import legal_orientation

_INSTALL = "pip install tifffile imagecodecs"
_RESAVE = "save the photograph as RGB or gray with 8 or 16 bits"
_DEVELOP = "develop it to a TIFF of 16 bits"
_MODES = {0: ("L", 1), 1: ("L", 1), 2: ("RGB", 3), 5: ("CMYK", 4)}  # by photometric interpretation
_WHITE_IS_ZERO, _YCBCR = 0, 6
_JPEG = 7
_PREMULTIPLIED = 1  # kind of extra sample: alpha that the colors were multiplied with
_EXTRA_SAMPLES = {0: "unnamed", 1: "premultiplied alpha", 2: "alpha"}
_MAX_CHANNELS = 8  # bounds the memory: all are decoded, though only the colors are kept
_DEFLATE = (8, 32946)
# What tifffile decodes without imagecodecs: none, deflate and PackBits.
_OWN_CODECS = (1, *_DEFLATE, 32773)
_MAX_INFLATION = 1032  # of deflate
_FREE_INFLATION = 1 << 26  # bytes that a strip may become without being looked into before


def is_misread(image: Image.Image) -> bool:
    """Whether Pillow mistakes the planes of a TIFF: those of gray and alpha, or of two alphas."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    tags = image.tag_v2
    return tags.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2 and (
        image.mode in ("LA", "La") or len(tags.get(TiffImagePlugin.EXTRASAMPLES, ())) > 1
    )


def read_deep_png(file: BinaryIO) -> np.ndarray:
    """Reads a PNG of 16 bits with colors or alpha.

    OpenCV holds up to 16 bytes for each pixel at once, and the file is held beside them.

    Returns:
        uint16 (H, W, 3), RGB order, not turned.

    Raises:
        ValueError: If the file is damaged. Errors of Pillow likewise.
    """
    pixels = _opencv_pixels(file, "PNG")
    if pixels is None:
        raise ValueError("OpenCV cannot decode this 16-bit PNG")
    return pixels[..., :3]


@dataclass(frozen=True)
class TiffLayout:
    """What tifffile says of the photograph in a TIFF.

    Attributes:
        size: (width, height) as stored.
        mode: "L", "RGB" or "CMYK"; other channels are left out.
        bits: 8 or 16 per channel.
        orientation: Value of its tag, or 1.
        profile: Embedded ICC profile.
    """

    size: tuple[int, int]
    mode: str
    bits: int
    orientation: int
    profile: bytes | None


def tiff_layout(file: BinaryIO, label: str, number: int = 1) -> TiffLayout:
    """Reads the layout of a TIFF without its pixels.

    Args:
        file: The TIFF.
        label: Name of the file for messages.
        number: Which of its pages that are no previews, from 1.

    Raises:
        InputError: If tifffile is missing, or the TIFF holds no colors of 8 or 16 bits.
        ValueError: If the file is damaged.
    """
    with tiff_page(file, label, number) as page:
        profile = page.tags.valueof(34675)
        return TiffLayout(
            size=(int(page.imagewidth), int(page.imagelength)),
            mode=_color_model(page)[0],
            bits=page.dtype.itemsize * 8,
            orientation=legal_orientation(page.tags.valueof(274)),
            profile=profile if isinstance(profile, bytes) else None,
        )


def read_tiff(
    file: BinaryIO, label: str, orientation: int, number: int = 1
) -> tuple[str, np.ndarray]:
    """Reads the photograph in a TIFF with all its bits, by tifffile.

    Holds the bytes of all channels of each pixel, which are at most 16.

    Args:
        file: The TIFF.
        label: Name of the file for messages.
        orientation: 1 if it is not turned.
        number: Which of its pages that are no previews, from 1.

    Returns:
        ("L", "RGB" or "CMYK", uint8 or uint16 (H, W, C)) without alpha, not turned; black is zero.

    Raises:
        InputError: As :func:`tiff_layout`, and if a codec is missing.
        ValueError: If the file is damaged.
    """
    with tiff_page(file, label, number) as page:
        pixels = _tiff_pixels(page, file, label, orientation)
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        return colors_of(page, pixels if pixels.ndim == 3 else pixels[..., None])


def colors_of(page: Any, pixels: np.ndarray) -> tuple[str, np.ndarray]:
    """Returns the color model of a page, and some of its pixels without alpha; black is zero.

    Args:
        page: As :func:`tiff_page` yields it.
        pixels: uint8 or uint16 (h, w, C), with all its channels.
    """
    mode, channels = _color_model(page)
    colors = pixels[..., :channels]
    if tuple(map(int, page.extrasamples))[:1] == (_PREMULTIPLIED,):
        colors = _unmultiplied(colors, pixels[..., channels])
    return mode, ~colors if int(page.photometric) == _WHITE_IS_ZERO else colors


def pictures(tiff: Any) -> Iterator[Any]:
    """Yields the pages of a TIFF, opened by tifffile, that are no previews."""
    return (page for page in tiff.pages if not page.is_reduced)


@contextmanager
def tiff_page(file: BinaryIO, label: str, number: int = 1) -> Iterator[Any]:
    """Opens a page of a TIFF by tifffile.

    Args:
        file: The TIFF.
        label: Name of the file for messages.
        number: Which of its pages that are no previews, from 1.

    Yields:
        tifffile's page.

    Raises:
        InputError: If tifffile is missing, there is no such page, or it has no colors of 8 or 16
            bits.
        ValueError: If the file is damaged.
    """
    try:
        import tifffile
    except ImportError as error:
        raise InputError(
            f"{label}: reading a TIFF with 16 bits per color needs tifffile; {_INSTALL}"
        ) from error
    file.seek(0)
    try:
        with tifffile.TiffFile(file) as tiff:
            page = next(islice(pictures(tiff), number - 1, None), None)
            if not len(tiff.pages):
                raise ValueError("no page in it")
            if page is None and number > 1:
                found = sum(1 for _ in pictures(tiff))
                raise InputError(f"{label}: expected {number} or more pages, found {found}")
            if page is None:
                raise InputError(
                    f"{label}: holds a preview only, as raw files of cameras do; {_DEVELOP}"
                )
            _check_layout(page, label)
            yield page
    except InputError:
        raise
    except Exception as error:  # of any kind: its codecs are a dozen libraries
        raise ValueError(str(error) or type(error).__name__) from error


def _check_layout(page: Any, label: str) -> None:
    channels = _channel_names(page)
    _, colors = _color_model(page)
    is_readable = (
        colors > 0
        and page.dtype in (np.uint8, np.uint16)
        and page.bitspersample in (8, 16)
        and page.axes in ("YX", "YXS", "SYX")
        and colors + len(page.extrasamples) <= page.samplesperpixel
        and page.samplesperpixel <= _MAX_CHANNELS
        # A tile, which is decoded whole, may reach beyond the image, but not far.
        and (not page.is_tiled or page.tilewidth * page.tilelength <= page.size + (1 << 24))
    )
    if not is_readable:
        raise InputError(
            f"{label}: expected gray, RGB or CMYK with 8 or 16 bits per channel, or YCbCr as JPEG, "
            f"found {channels} of {page.bitspersample} bits ({page.dtype}, axes {page.axes}); "
            f"{_RESAVE}"
        )


def _color_model(page: Any) -> tuple[str, int]:
    """Returns the color model of a page, decoded, and its channels; none if it is not read."""
    photometric = int(page.photometric)
    is_jpeg = photometric == _YCBCR and int(page.compression) == _JPEG
    if is_jpeg and int(page.planarconfig) == 1 and not page.extrasamples:
        return _MODES[2]  # its decoder gives RGB
    return _MODES.get(photometric, ("", 0))


def _channel_names(page: Any) -> str:
    """Returns the channels of a page in words, such as "RGB + alpha"."""
    photometric = getattr(page.photometric, "name", page.photometric)
    known = {"MINISWHITE": "gray", "MINISBLACK": "gray", "SEPARATED": "CMYK", "CIELAB": "Lab"}
    names = [_EXTRA_SAMPLES.get(int(kind), "unnamed") for kind in page.extrasamples]
    listed = names if len(names) <= _MAX_CHANNELS else [f"{len(names)} more"]
    return " + ".join([known.get(photometric, str(photometric)), *listed])


def _tiff_pixels(page: Any, file: BinaryIO, label: str, orientation: int) -> np.ndarray:
    """Decodes a page; OpenCV, where it can, steps in for codecs that tifffile lacks."""
    if not has_codec(page):
        # OpenCV reads the usual codecs, but turns the picture, and not alike in all versions.
        could = orientation == 1 and page.axes == "YXS" and page.dtype == np.uint16
        could = could and int(page.photometric) == 2 and page.samplesperpixel in (3, 4)
        pixels = _opencv_pixels(file, "TIFF") if could else None
        if pixels is None or pixels.shape != page.shape:
            name = getattr(page.compression, "name", page.compression)
            raise InputError(
                f"{label}: a TIFF of this layout in the compression {name} requires the "
                f"'imagecodecs' package; {_INSTALL}"
            )
        return pixels
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if _could_inflate(page, count):
            file.seek(offset)
            check_inflation(page, file.read(count))
    return page.asarray(maxworkers=1)


def has_codec(page: Any) -> bool:
    """Whether tifffile can decode a page with what is installed."""
    return int(page.compression) in _OWN_CODECS or find_spec("imagecodecs") is not None


def part_bytes(page: Any) -> int:
    """Returns how many bytes the pixels of a tile or strip are."""
    rows, width = min(page.rowsperstrip, page.imagelength), page.imagewidth
    if page.is_tiled:
        rows, width = page.tilelength, page.tilewidth
    samples = 1 if page.axes == "SYX" else page.samplesperpixel
    return int(rows * width * samples * page.dtype.itemsize)


def _could_inflate(page: Any, count: int) -> bool:
    """Whether a part of so many bytes could become more than it should, and than is harmless."""
    most = max(_FREE_INFLATION, part_bytes(page))
    return int(page.compression) in _DEFLATE and count * _MAX_INFLATION > most


def check_inflation(page: Any, content: bytes) -> None:
    """Refuses a part that inflates to more than it should: zlib would take any memory for it.

    Args:
        page: Of the part.
        content: The part as it is stored.

    Raises:
        ValueError: If it holds more.
    """
    if not _could_inflate(page, len(content)):
        return
    expected = part_bytes(page)
    stream, size = zlib.decompressobj(), 0
    while content and size <= expected:
        size += len(stream.decompress(content, 1 << 20))
        content = stream.unconsumed_tail
    if size > expected:
        raise ValueError(f"a part of it holds more than {expected} bytes")


def _opencv_pixels(file: BinaryIO, image_format: str) -> np.ndarray | None:
    """Decodes 16-bit RGB or RGBA to RGB order; None where OpenCV cannot.

    Raises:
        OSError: If the file is damaged. Other errors of Pillow likewise.
    """
    file.seek(0)
    with Image.open(file, formats=(image_format,)) as image:
        image.load()  # raises on damage, where OpenCV may silently return the rows before it
    content = np.empty(file.seek(0, os.SEEK_END), np.uint8)
    file.seek(0)
    file.readinto(content)  # type: ignore[attr-defined]  # read() would hold it twice
    pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    for rows in strips(*pixels.shape[:2]):  # in place: one more copy is 6 bytes for each pixel
        pixels[rows, :, :3] = pixels[rows, :, 2::-1].copy()
    return pixels


def _unmultiplied(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Returns colors as they were before they were multiplied with alpha."""
    full = np.iinfo(colors.dtype).max
    out = np.empty_like(colors)
    for rows in strips(*alpha.shape):
        opacity = np.maximum(alpha[rows, :, None], 1).astype(np.float32) / full
        out[rows] = np.minimum(np.rint(colors[rows] / opacity), full)
    return out
