"""Photographs in TIFF that are too large to be held: their rows are decoded as they are needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.images.deep_images import (
    check_inflation,
    colors_of,
    has_codec,
    part_bytes,
    tiff_page,
)
from mmseg_heritage.images.image_files import ImageFault, write_turned
from mmseg_heritage.images.metadata import legal_orientation
from mmseg_heritage.images.photograph_rows import RESAVE, PhotographRows, UnreadPart, faults_of
from mmseg_heritage.images.photographs import srgb_of
from mmseg_heritage.images.resolution import page_density

_FROM_BELOW, _FROM_THE_RIGHT = (3, 4, 7, 8), (2, 3, 6, 7)  # orientations
_MAX_PART = 1 << 25  # pixels of a tile or strip, which is decoded whole
_MAX_BLOCK = 1 << 27  # pixels that are decoded at a time
_MOST_BYTES = 2  # of a compressed part, for each byte of its pixels
_LEAST_ROWS = 64  # that are decoded at a time


class TiffRows(PhotographRows):
    """The photograph in a TIFF, as 8-bit sRGB, a few rows at a time.

    Two rows of tiles, or twice some strips, are held in 3 bytes a pixel, and one more while it is
    decoded. What cannot be decoded is black, and listed in :attr:`unread`.

    Args:
        path: Of a TIFF or BigTIFF, tiled or in strips, of gray, RGB or CMYK with 8 or 16 bits, or
            of JPEG in YCbCr.
        page: Which of its pages that are no previews, from 1.

    Raises:
        ImageFault: If it is none of these, a few of its rows cannot be decoded without many others,
            or most of its pixels are missing.
    """

    def __init__(self, path: str | Path, page: int = 1) -> None:
        super().__init__()
        self.label, self._number = str(path), page
        with faults_of(self.label), ExitStack() as opened:
            self._file = opened.enter_context(Path(path).open("rb"))
            self._page = opened.enter_context(tiff_page(self._file, self.label, page))
            self._read_layout()
            self._check_parts()
            self._open = opened.pop_all()

    def _opened_again(self) -> TiffRows:
        return TiffRows(self.label, self._number)

    def close(self) -> None:
        """See :class:`PhotographRows`."""
        super().close()
        self._open.close()

    def _read_layout(self) -> None:
        """Reads how the pixels are stored."""
        page = self._page
        self._stored = (int(page.imagelength), int(page.imagewidth))
        self._orientation = legal_orientation(page.tags.valueof(274))
        self._is_turned = self._orientation > 4
        self.shape = self._stored[::-1] if self._is_turned else self._stored
        self.resolution = _resolution(page, self._is_turned)
        profile = page.tags.valueof(34675)
        self._profile = profile if isinstance(profile, bytes) else None
        if page.is_tiled:
            self._tile = (int(page.tilelength), int(page.tilewidth))
        else:
            self._tile = (min(int(page.rowsperstrip), self._stored[0]), self._stored[1])
        self._raw_start = None if self._is_turned else _contiguous(page)
        along = self._tile[1] if self._is_turned else self._tile[0]
        along = 1 if self._raw_start is not None else along
        self._step = -(-_LEAST_ROWS // along) * along

    def _check_parts(self) -> None:
        """Refuses what cannot be decoded in parts, or is for the most part missing."""
        page, (height, width) = self._page, self._tile
        problem = ""
        if self._is_turned and not page.is_tiled:
            problem = "it is stored in strips, and its orientation turns it by a quarter"
        elif self._raw_start is None and height * width > _MAX_PART:
            problem = f"its parts of {width}x{height} px have to be decoded whole"
        elif self._step * self.shape[1] > _MAX_BLOCK:
            problem = f"{self._step} of its rows have to be decoded at once"
        elif not has_codec(page):
            name = getattr(page.compression, "name", page.compression)
            problem = f"its compression {name} requires the 'imagecodecs' package"
        if problem:
            raise ImageFault(
                f"{self.label}: {self.shape[1]}x{self.shape[0]} pixels cannot be read in parts, "
                f"since {problem}; {RESAVE}",
                "too large",
            )
        there, expected = self._parts_there()
        if 2 * there < expected:
            raise ValueError(f"{there} of {expected} parts of its pixels are there")

    def _parts_there(self) -> tuple[int, int]:
        """Returns how many parts the file holds, and how many it should: rows, strips or tiles."""
        page, size = self._page, self._file.seek(0, os.SEEK_END)
        if self._raw_start is not None:
            row = self._stored[1] * int(page.samplesperpixel) * page.dtype.itemsize
            return min(max(size - self._raw_start, 0) // row, self._stored[0]), self._stored[0]
        parts = zip(page.dataoffsets, page.databytecounts, strict=True)
        down, across = (-(-a // b) for a, b in zip(self._stored, self._tile, strict=True))
        expected = down * across * (int(page.samplesperpixel) if page.axes == "SYX" else 1)
        return sum(count > 0 and offset < size for offset, count in parts), expected

    def _block_of(self, row: int) -> tuple[int, int]:
        low = self._from_the_end(row, row + 1)[0] // self._step * self._step
        return self._from_the_end(low, min(low + self._step, self.shape[0]))

    def _from_the_end(self, start: int, stop: int) -> tuple[int, int]:
        """Returns rows as they are stored from upright ones, and the other way round."""
        height = self.shape[0]
        return (
            (height - stop, height - start) if self._orientation in _FROM_BELOW else (start, stop)
        )

    def _made(self, start: int, stop: int) -> np.ndarray:
        """Decodes stored rows, or columns where the photograph lies on a side."""
        along = slice(*self._from_the_end(start, stop))
        rows, columns = along, slice(0, self._stored[1])
        if self._is_turned:
            rows, columns = slice(0, self._stored[0]), along
        part = np.zeros((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8)
        if self._raw_start is not None:
            part[:] = self._srgb(self._raw_rows(self._raw_start, rows))
        else:
            for top, left, pixels in self._segments(rows, columns):
                part[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        if self._orientation == 1:
            return part
        size = part.shape[1::-1] if self._is_turned else part.shape[:2]
        upright = np.empty((*size, 3), np.uint8)
        write_turned(upright, slice(0, part.shape[0]), part, self._orientation)
        return upright

    def _raw_rows(self, start: int, rows: slice) -> np.ndarray:
        """Reads rows that are stored one after the other, without compression."""
        page = self._page
        width, channels = int(page.imagewidth), int(page.samplesperpixel)
        dtype = page.dtype.newbyteorder(page.parent.byteorder)
        found = np.zeros((rows.stop - rows.start, width, channels), dtype)
        self._file.seek(start + rows.start * found[0].nbytes)
        content = self._file.read(found.nbytes)
        if len(content) < found.nbytes:
            whole = len(content) // found[0].nbytes
            self._note(slice(rows.start + whole, rows.stop), slice(0, width), "the file ends there")
            content = content[: whole * found[0].nbytes]
        found.reshape(-1)[: len(content) // dtype.itemsize] = np.frombuffer(content, dtype)
        return found.astype(page.dtype, copy=False)

    def _segments(self, rows: slice, columns: slice) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yields the tiles or strips of a part: where they lie in it, and their pixels."""
        height, width = self._tile
        down, across = (-(-a // b) for a, b in zip(self._stored, self._tile, strict=True))
        planes = int(self._page.samplesperpixel) if self._page.axes == "SYX" else 1
        for i in range(rows.start // height, -(-rows.stop // height)):
            for j in range(columns.start // width, -(-columns.stop // width)):
                box = (
                    slice(i * height, min((i + 1) * height, self._stored[0])),
                    slice(j * width, min((j + 1) * width, self._stored[1])),
                )
                try:
                    samples = [
                        self._segment((plane * down + i) * across + j, box)
                        for plane in range(planes)
                    ]
                    pixels = self._srgb(np.concatenate(samples, axis=-1))
                except Exception as error:  # of any kind: its codecs are a dozen libraries
                    self._note(*box, str(error) or type(error).__name__)
                    continue
                yield box[0].start - rows.start, box[1].start - columns.start, pixels

    def _segment(self, index: int, box: tuple[slice, slice]) -> np.ndarray:
        """Decodes a tile or strip, (h, w, channels)."""
        page = self._page
        count = int(page.databytecounts[index])
        if count > _MOST_BYTES * part_bytes(page):
            raise ValueError(f"{count} bytes are too many for it")
        self._file.seek(int(page.dataoffsets[index]))
        content = self._file.read(count)
        if len(content) < count:
            raise ValueError("the file ends there")
        check_inflation(page, content)
        more = {}
        if int(page.compression) in (6, 7, 33007, 34892):  # JPEG, whose tables are kept apart
            more = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        pixels = page.decode(content, index, **more)[0]
        height, width = (side.stop - side.start for side in box)
        if pixels is None or pixels.shape[1] < height or pixels.shape[2] < width:
            raise ValueError("it is empty or incomplete")
        return pixels[0, :height, :width]

    def _srgb(self, pixels: np.ndarray) -> np.ndarray:
        mode, colors = colors_of(self._page, pixels)
        return srgb_of(colors, mode, self._profile)

    def _note(self, rows: slice, columns: slice, reason: str) -> None:
        """Remembers a part, as it is stored, that could not be decoded."""
        width = self.shape[1]
        if self._is_turned:
            rows, columns = columns, rows
        rows = slice(*self._from_the_end(rows.start, rows.stop))
        if self._orientation in _FROM_THE_RIGHT:
            columns = slice(width - columns.stop, width - columns.start)
        part = UnreadPart(rows, columns, " ".join(reason.split())[:200])
        self._unread[rows.start, columns.start] = part


def _resolution(page: Any, is_turned: bool) -> tuple[float, float, int] | None:
    """Returns the resolution that a page tells, for the upright photograph, in inches."""
    density = page_density(page)
    if density is None:
        return None
    across, down = reversed(density) if is_turned else density
    return across, down, 2


def _contiguous(page: Any) -> int | None:
    """Returns where pixels begin that are stored as they are, row by row; None if they are not."""
    if int(page.compression) != 1 or page.is_tiled or page.axes not in ("YX", "YXS"):
        return None
    if int(page.predictor) != 1 or int(page.fillorder) != 1:
        return None
    row = int(page.imagewidth) * int(page.samplesperpixel) * page.dtype.itemsize
    strip = row * int(page.rowsperstrip)
    first = int(page.dataoffsets[0])
    follow = all(offset == first + i * strip for i, offset in enumerate(page.dataoffsets))
    return first if follow else None
