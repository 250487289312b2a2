"""What an image file says of its resolution: pixels for each inch, as displayed.

Sources: TIFF 6 and Exif 2.32 (XResolution, YResolution, ResolutionUnit), JFIF 1.02 (density), PNG
1.2 (pHYs), the header of a BMP.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from mmseg_heritage.images.deep_images import pictures
from mmseg_heritage.images.formats import HEAD_BYTES, format_of
from mmseg_heritage.images.image_files import PILLOW_LIMIT_LIFTED
from mmseg_heritage.images.metadata import (
    CAMERA_TAGS,
    INCHES,
    METER,
    Resolution,
    exif_resolutions,
    legal_orientation,
    orientation_of,
    pixels_only,
)

_MAX_RESOLUTION = 1e6


def resolutions_of(path: str | Path, page: int = 1) -> list[Resolution]:
    """Returns the resolutions that a file tells, for the upright photograph; no pixels are decoded.

    Args:
        path: Any file.
        page: Of a TIFF, which of the pages that are no previews, from 1.

    Returns:
        Up to two that differ in where they are; none where the file tells nothing, has no unit, or
        cannot be read, which the reader of the photograph says.
    """
    path = Path(path)
    try:
        with path.open("rb", 0) as file:
            head = file.read(HEAD_BYTES)
            image_format = format_of(head, path.suffix)
            if image_format in ("PNG", "JPEG"):
                metadata = pixels_only(file, image_format)[1]
                return _turned(metadata.resolutions, metadata.orientation)
            if image_format == "TIFF":
                return _of_tiff(path, page)
            if image_format == "BMP":
                return _of_bmp(file)
            return _of_webp(file) if image_format == "WEBP" else []
    except Exception:  # decoders raise nearly everything; the reader says what is wrong
        return []


def _turned(found: Iterable[Resolution], orientation: int) -> list[Resolution]:
    """Returns resolutions for the upright photograph, which may have lain on a side."""
    if orientation < 5:
        return list(found)
    return [replace(one, across=one.down, down=one.across) for one in found]


def _of_tiff(path: Path, number: int) -> list[Resolution]:
    import tifffile  # here, since few commands need it

    with tifffile.TiffFile(path) as tiff:
        page = next(islice(pictures(tiff), number - 1, None))
        density = page_density(page)
        if density is None:
            return []
        exif = page.tags.valueof(34665)
        by_camera = isinstance(exif, dict) and bool(set(CAMERA_TAGS.values()) & exif.keys())
        found = Resolution(*density, "TIFF", by_camera)
        return _turned([found], legal_orientation(page.tags.valueof(274)))


def page_density(page: Any) -> tuple[float, float] | None:
    """Returns the pixels for each inch across and down that a page of tifffile tells, as stored."""
    found = []
    for tag in (282, 283):
        value = page.tags.valueof(tag)
        if not isinstance(value, tuple) or len(value) != 2 or not all(value):
            return None
        found.append(value[0] / value[1])
    unit = INCHES.get(page.tags.valueof(296, 2))
    if unit is None or not all(0 < value < _MAX_RESOLUTION for value in found):
        return None
    return found[0] * unit, found[1] * unit


def _of_bmp(file: BinaryIO) -> list[Resolution]:
    file.seek(38)
    across, down = struct.unpack("<ii", file.read(8))
    if across <= 0 or down <= 0:
        return []
    return [Resolution(across * METER, down * METER, "BMP")]


def _of_webp(file: BinaryIO) -> list[Resolution]:
    file.seek(0)
    with PILLOW_LIMIT_LIFTED, Image.open(file, formats=("WEBP",)) as image:
        exif = image.info.get("exif", b"")
    return _turned(exif_resolutions(exif), orientation_of(exif))
