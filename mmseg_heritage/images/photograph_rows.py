"""What a photograph is that is read a few rows at a time, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import ImageFault

RESAVE = "save it as a tiled TIFF (vips tiffsave IN OUT --tile --compression deflate --bigtiff)"
"""What to do with a photograph that cannot be read in parts."""


@dataclass(frozen=True)
class UnreadPart:
    """A part of a photograph that could not be decoded.

    Attributes:
        rows: Of the upright photograph.
        columns: Of the upright photograph.
        reason: What the decoder said.
    """

    rows: slice
    columns: slice
    reason: str

    def __str__(self) -> str:
        return (
            f"rows {self.rows.start} to {self.rows.stop - 1}, columns {self.columns.start} to "
            f"{self.columns.stop - 1} ({self.reason})"
        )


class PhotographRows(ABC):
    """A photograph as 8-bit sRGB, of which a few rows are read at a time.

    Attributes:
        label: Path of the file, for messages.
        shape: Height and width in pixels, as displayed.
        resolution: Pixels per unit across and down, and the unit as TIFF numbers it (2 for an inch,
            3 for a centimeter); None where it is not told.
    """

    label: str
    shape: tuple[int, int]
    resolution: tuple[float, float, int] | None = None

    def __enter__(self) -> PhotographRows:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    @abstractmethod
    def unread(self) -> list[UnreadPart]:
        """What could not be decoded so far."""

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Returns some rows of the upright photograph, uint8 (stop - start, W, 3), RGB."""
        stop = min(stop, self.shape[0])
        found = np.empty((stop - start, self.shape[1], 3), np.uint8)
        row = start
        while row < stop:
            first, part = self._rows_around(row)
            end = min(first + len(part), stop)
            found[row - start : end - start] = part[row - first : end - first]
            row = end
        return found

    @abstractmethod
    def _rows_around(self, row: int) -> tuple[int, np.ndarray]:
        """Returns the first row, and the pixels, of the rows that are decoded with a row."""

    @abstractmethod
    def close(self) -> None:
        """Closes the file."""


@contextmanager
def faults_of(label: str) -> Iterator[None]:
    """Names the file in what goes wrong while it is opened."""
    try:
        yield
    except InputError as error:
        raise ImageFault(error.summary, "mode") from error
    except (OSError, ValueError) as error:
        raise ImageFault(
            f"{label}: the image is truncated or damaged ({error}); copy it again", "truncated"
        ) from error
