"""A photograph as a pyramid of small JPEG files, for deep zoom.

The levels are those of Deep Zoom (DZI): each has half the width and height of the one below,
rounded up; tiles overlap by one pixel. Levels that are smaller than a tile are left out but for the
largest of them. Memory grows with the width of the photograph, not with its height.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from mmseg_heritage.errors import InputError

TILE = 512
OVERLAP = 1
_QUALITY = 88  # of JPEG


def levels(width: int, height: int) -> tuple[int, int]:
    """Returns the numbers of the smallest and the largest level, as Deep Zoom counts them."""
    largest = (max(width, height) - 1).bit_length()
    smallest = largest
    while smallest and -(-max(width, height) >> (largest - smallest)) > TILE:
        smallest -= 1
    return smallest, largest


def write_tiles(folder: Path, bands: Iterable[np.ndarray], width: int, height: int) -> None:
    """Writes ``<level>/<column>_<row>.jpg``.

    Args:
        folder: Where to; it is made.
        bands: Rows of the photograph from top to bottom, uint8 (rows, W, 3), RGB.
        width: Of the photograph.
        height: Of the photograph.
    """
    smallest, largest = levels(width, height)
    level = None
    for number in range(smallest, largest + 1):
        level = _Level(folder / str(number), level)
    if level is None:
        raise InputError(f"a photograph of {width}x{height} pixels has no tiles")
    for band in bands:
        level.add(band)
    level.finish()


class _Level:
    """Cuts rows into tiles, and hands them on at half their size.

    Args:
        folder: Of its tiles.
        above: The level of half the size; None above the smallest.
    """

    def __init__(self, folder: Path, above: _Level | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._above = folder, above
        self._rows: list[np.ndarray] = []
        self._first = 0  # row of the photograph that the first one held is
        self._held = 0
        self._next = 0  # row of tiles that is written next
        self._odd: np.ndarray | None = None  # a row whose partner has not come yet

    def add(self, band: np.ndarray) -> None:
        """Adds the next rows, uint8 (rows, W, 3)."""
        if not len(band):
            return
        self._rows.append(band)
        self._held += len(band)
        while self._first + self._held >= (self._next + 1) * TILE + OVERLAP:
            self._write_row()
        self._hand_on(band)

    def finish(self) -> None:
        """Writes what is left."""
        while self._first + self._held > self._next * TILE:
            self._write_row()
        if self._above is not None:
            if self._odd is not None:
                self._above.add(_halved(np.concatenate([self._odd, self._odd])))
            self._above.finish()

    def _write_row(self) -> None:
        held = np.concatenate(self._rows) if len(self._rows) > 1 else self._rows[0]
        top = max(self._next * TILE - OVERLAP, 0)
        stop = min((self._next + 1) * TILE + OVERLAP, self._first + len(held))
        part = held[top - self._first : stop - self._first]
        for column, left in enumerate(range(0, part.shape[1], TILE)):
            tile = part[:, max(left - OVERLAP, 0) : left + TILE + OVERLAP]
            bgr = cv2.cvtColor(np.ascontiguousarray(tile), cv2.COLOR_RGB2BGR)
            _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            content.tofile(self._folder / f"{column}_{self._next}.jpg")
        self._next += 1
        kept = max(self._next * TILE - OVERLAP, self._first)
        rest = held[kept - self._first :].copy()
        self._rows, self._first, self._held = [rest], kept, len(rest)

    def _hand_on(self, band: np.ndarray) -> None:
        if self._above is None:
            return
        if self._odd is not None:
            band = np.concatenate([self._odd, band])
        even = len(band) // 2 * 2
        self._odd = band[even:].copy() if even < len(band) else None
        if even:
            self._above.add(_halved(band[:even]))


def _halved(rows: np.ndarray) -> np.ndarray:
    """Returns rows, of an even number, at half their size; an odd last column counts twice."""
    if rows.shape[1] % 2:
        rows = np.concatenate([rows, rows[:, -1:]], axis=1)
    size = (rows.shape[1] // 2, rows.shape[0] // 2)
    halved = cv2.resize(rows, size, interpolation=cv2.INTER_AREA)
    return halved.reshape(size[1], size[0], 3)
