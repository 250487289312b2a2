"""The image files in a row as the files of a data set: checked, and smaller where asked for."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from mmseg_heritage.dataprep.hub.journal import FOLDERS, Written
from mmseg_heritage.dataprep.hub.shrink import (
    expected_pixels,
    shrink_image,
    shrink_mask,
    shrunk_size,
)
from mmseg_heritage.images.formats import READ_FORMATS
from mmseg_heritage.images.image_files import ImageHeader, image_header
from mmseg_heritage.images.masks import class_pixels, read_mask
from mmseg_heritage.images.photographs import read_image


def convert_image(
    sample_id: str, content: bytes, label: str, max_side: int | None
) -> tuple[Written, bytes]:
    """Checks a photograph by decoding it; its file keeps the bytes it has.

    Args:
        sample_id: Name of the file without suffix.
        content: The image file in the row.
        label: What messages call it.
        max_side: A photograph with a longer side becomes an 8-bit PNG in sRGB of this long side.

    Returns:
        (record, content of the file to write).

    Raises:
        InputError: If it cannot be decoded, or has a format that training does not read.
    """
    header = image_header(content, label)
    pixels = read_image(content, label)
    size = shrunk_size(header.size, max_side)
    suffix = READ_FORMATS[header.format][0]
    if size != header.size:
        content, suffix = encode_png(shrink_image(pixels, size)), ".png"
    return _record(sample_id, "image", suffix, content, header, size), content


def convert_annotation(
    sample_id: str,
    content: bytes,
    label: str,
    max_side: int | None,
    image_size: Sequence[int] | None,
) -> tuple[Written, bytes]:
    """Checks a mask, and makes it an 8-bit PNG of class ids.

    Args:
        sample_id: Name of the file without suffix.
        content: The image file in the row.
        label: What messages call it.
        max_side: As :func:`convert_image`.
        image_size: (width, height) of the photograph before it was made smaller; None if unknown.

    Returns:
        (record, content of the file to write).

    Raises:
        InputError: If it cannot be decoded, has another size than the photograph, or values that
            are no class ids.
    """
    header = image_header(content, label)
    wanted = None if image_size is None else (image_size[0], image_size[1])
    mask = read_mask(content, wanted, label)
    size = shrunk_size(header.size, max_side)
    if max_side is not None:
        counts = class_pixels(mask)[:-1]
        expected = expected_pixels(counts, mask.size, size[0] * size[1])
    if size != header.size:
        mask = shrink_mask(mask, size)
    content = encode_png(Image.fromarray(mask))
    written = _record(sample_id, "annotation", ".png", content, header, size)
    if max_side is not None:
        kept = class_pixels(mask)[:-1]
        written = replace(written, expected=expected.tolist(), kept=kept.tolist())
    return written, content


def _record(
    sample_id: str,
    column: str,
    suffix: str,
    content: bytes,
    header: ImageHeader,
    size: tuple[int, int],
) -> Written:
    return Written(
        id=sample_id,
        column=column,
        file=f"{FOLDERS[column]}/{sample_id}{suffix}",
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        size=list(size),
        stored=f"{header.format} {header.mode}",
        stored_size=list(header.size),
    )


def encode_png(image: Image.Image) -> bytes:
    """Returns an image as the content of a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
