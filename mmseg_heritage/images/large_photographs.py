"""Which photographs are read in parts, and how many pages a file has."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from PIL import Image

from mmseg_heritage.images.deep_images import pictures
from mmseg_heritage.images.formats import HEAD_BYTES, format_of
from mmseg_heritage.images.image_files import MAX_SIDE, PILLOW_LIMIT_LIFTED, max_pixels
from mmseg_heritage.images.metadata import pixels_only
from mmseg_heritage.images.photograph_rows import PhotographRows
from mmseg_heritage.images.tiff_rows import TiffRows
from mmseg_heritage.images.vips_rows import VipsRows


def large_photograph(path: str | Path, page: int = 1) -> PhotographRows | None:
    """Opens a photograph of more than :func:`~mmseg_heritage.images.image_files.max_pixels`.

    Args:
        path: Its file.
        page: Which of the pages of a TIFF that are no previews, from 1.

    Returns:
        None for all that is to be read whole, or is to be refused by the reader that does it.

    Raises:
        ImageFault: If it cannot be read in parts, see :class:`TiffRows` and :class:`VipsRows`.
    """
    path = Path(path)
    image_format = _format(path)
    if image_format not in ("TIFF", "PNG", "JPEG") or (image_format != "TIFF" and page > 1):
        return None
    try:
        width, height = _size(path, image_format, page)
    except Exception:  # decoders raise nearly everything; the reader says what is wrong
        return None
    if width * height <= max_pixels() or max(width, height) > MAX_SIDE:
        return None
    return TiffRows(path, page) if image_format == "TIFF" else VipsRows(path, image_format)


def _format(path: Path) -> str | None:
    """Returns the format of a file, None where there is none or it is not read."""
    try:
        with path.open("rb") as file:
            return format_of(file.read(HEAD_BYTES), path.suffix)
    except OSError:
        return None


def _size(path: Path, image_format: str, page: int) -> tuple[int, int]:
    if image_format == "TIFF":
        import tifffile

        with tifffile.TiffFile(path) as tiff:
            found = next(islice(pictures(tiff), page - 1, None))
            return int(found.imagewidth), int(found.imagelength)
    with path.open("rb", 0) as file:
        pixels = pixels_only(file, image_format)[0]  # without texts, which Pillow may refuse
        with PILLOW_LIMIT_LIFTED, Image.open(pixels, formats=(image_format,)) as image:
            return image.size


def page_count(path: str | Path) -> int:
    """Returns the number of pages of a TIFF that are no previews; 1 for all that is no TIFF."""
    if _format(Path(path)) != "TIFF":
        return 1
    try:
        import tifffile

        with tifffile.TiffFile(path) as tiff:
            return sum(1 for _ in pictures(tiff))
    except Exception:  # of any kind; the reader says what is wrong with the file
        return 1
