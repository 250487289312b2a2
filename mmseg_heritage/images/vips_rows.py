"""PNG and JPEG too large to be held, read row by row by libvips (the extra "all")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.images.image_files import ImageFault, damage, label_of
from mmseg_heritage.images.metadata import pixels_only
from mmseg_heritage.images.photograph_rows import RESAVE, PhotographRows, UnreadPart, faults_of
from mmseg_heritage.images.photographs import srgb_of

_MODES = {1: ("L", 1), 2: ("L", 1), 3: ("RGB", 3), 4: ("RGB", 3)}  # by the number of channels
_HELD_WHOLE = ("interlaced", "jpeg-multiscan")  # fields of images that come in several passes
_LOADERS = {"PNG": "pngload", "JPEG": "jpegload"}
_ROWS = 128  # decoded at a time; libvips reads PNG in multiples of 16
_INTERPRETATIONS = ("b-w", "srgb", "rgb", "rgb16", "grey16")


class VipsRows(PhotographRows):
    """The photograph in a PNG or JPEG, decoded from the top to the bottom.

    Rows above those that were read last are read from the beginning again. From where libvips
    reports damage on, the photograph is black and listed in :attr:`unread`; of damage within a JPEG
    it reports little.

    Args:
        path: Of a PNG, or a JPEG of gray or RGB.
        image_format: "PNG" or "JPEG".

    Raises:
        ImageFault: If it is none of these, is interlaced or progressive, its orientation is not
            upright, or pyvips is missing.
    """

    def __init__(self, path: Path, image_format: str) -> None:
        super().__init__()
        self.label = label_of(path, None)
        try:
            import pyvips
        except ImportError as error:
            raise ImageFault(
                f"{self.label}: a {image_format} of this size is read in parts by pyvips (pip "
                f"install pyvips[binary]); or {RESAVE}",
                "too large",
            ) from error
        self._vips, self._path, self._format = pyvips, path, image_format
        with faults_of(self.label), path.open("rb", 0) as file:
            self._metadata = pixels_only(file, image_format)[1]
        self._open()
        self.shape = (self._image.height, self._image.width)
        if self._metadata.orientation != 1:
            raise ImageFault(
                f"{self.label}: a {image_format} of this size cannot be turned as its orientation "
                "says; save it upright (vips autorot IN OUT.tif)",
                "too large",
            )
        fields = self._image.get_fields()
        if any(name in fields and self._image.get(name) for name in _HELD_WHOLE):
            raise ImageFault(
                f"{self.label}: an interlaced or progressive {image_format} of this size cannot be "
                f"read in parts; {RESAVE}",
                "too large",
            )
        if self._image.interpretation not in _INTERPRETATIONS:
            raise ImageFault(
                f"{self.label}: expected gray or RGB in a photograph of this size, found "
                f"{self._image.interpretation}; {RESAVE}",
                "mode",
            )

    def _open(self) -> None:
        try:
            # The loader by name: the general one decides by the content, and takes what a file's
            # name has in brackets for options.
            load = getattr(self._vips.Image, _LOADERS[self._format])
            self._image: Any = load(str(self._path), access="sequential", fail_on="truncated")
        except self._vips.Error as error:
            raise damage(self.label, "image", ValueError(_reason(error))) from error
        self._next = 0

    def _opened_again(self) -> VipsRows:
        return VipsRows(self._path, self._format)

    def _block_of(self, row: int) -> tuple[int, int]:
        first = row // _ROWS * _ROWS
        return first, min(first + _ROWS, self.shape[0])

    def _made(self, start: int, stop: int) -> np.ndarray:
        """Decodes rows, which are black from where libvips reports damage."""
        black = np.zeros((stop - start, self.shape[1], 3), np.uint8)
        if any(start >= part.rows.start for part in self._unread.values()):
            return black
        if start < self._next:
            self._open()
        try:
            part = self._image.crop(0, start, self.shape[1], stop - start).numpy()
        except self._vips.Error as error:
            rows, columns = slice(start, self.shape[0]), slice(0, self.shape[1])
            self._unread[start, 0] = UnreadPart(rows, columns, _reason(error))
            self._next = self.shape[0]  # an image that failed gives no other rows either
            return black
        self._next = stop
        part = part if part.ndim == 3 else part[..., None]
        mode, channels = _MODES[part.shape[2]]
        return srgb_of(part[..., :channels], mode, self._metadata.profile)

    def close(self) -> None:
        """See :class:`PhotographRows`."""
        super().close()
        del self._image


def _reason(error: Exception) -> str:
    """Returns what libvips says, in one line."""
    return " ".join(str(getattr(error, "detail", error)).split())[:200]
