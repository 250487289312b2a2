"""What a photograph is that is read a few rows at a time, whatever its format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import ImageFault, damage

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


class RowBlocks(ABC):
    """An image of which rows are made in blocks, the last two of which are held.

    Attributes:
        shape: Height and width in pixels.
    """

    shape: tuple[int, int]

    def __init__(self) -> None:
        self._blocks: dict[int, np.ndarray] = {}  # first row -> pixels

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Returns some rows, uint8 (stop - start, W, 3), RGB."""
        stop = min(stop, self.shape[0])
        found = np.empty((stop - start, self.shape[1], 3), np.uint8)
        row = start
        while row < stop:
            first, end = self._block_of(row)
            if first not in self._blocks:
                if len(self._blocks) > 1:  # before more memory is asked for
                    del self._blocks[next(iter(self._blocks))]
                self._blocks[first] = self._made(first, end)
            end = min(end, stop)
            found[row - start : end - start] = self._blocks[first][row - first : end - first]
            row = end
        return found

    @abstractmethod
    def again(self) -> RowBlocks:
        """Returns another reader of the image, so that each reads from the top down."""

    @abstractmethod
    def _block_of(self, row: int) -> tuple[int, int]:
        """Returns the first row of the block that a row is in, and the one after the last."""

    @abstractmethod
    def _made(self, start: int, stop: int) -> np.ndarray:
        """Returns the rows of a block, uint8 (stop - start, W, 3), RGB."""


class PhotographRows(RowBlocks):
    """A photograph as 8-bit sRGB, of which a few rows are read at a time.

    Attributes:
        label: Path of the file, for messages.
        shape: Height and width in pixels, as displayed.
        resolution: Pixels per unit across and down, and the unit as TIFF numbers it (2 for an inch,
            3 for a centimeter); None where it is not told.
    """

    label: str
    resolution: tuple[float, float, int] | None = None

    def __init__(self) -> None:
        super().__init__()
        self._unread: dict[tuple[int, int], UnreadPart] = {}  # first row and column -> part
        self._readers: list[PhotographRows] = []

    def __enter__(self) -> PhotographRows:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def unread(self) -> list[UnreadPart]:
        """What could not be decoded so far, by this reader and those of :meth:`again`."""
        return list(self._unread.values())

    def again(self) -> PhotographRows:
        """Returns another reader of the same photograph, which is closed with this one."""
        reader = self._opened_again()
        reader._unread = self._unread
        self._readers.append(reader)
        return reader

    @abstractmethod
    def _opened_again(self) -> PhotographRows:
        """Opens the file once more."""

    def close(self) -> None:
        """Closes the file."""
        for reader in self._readers:
            reader.close()


@contextmanager
def faults_of(label: str) -> Iterator[None]:
    """Names the file in what goes wrong while it is opened."""
    try:
        yield
    except ImageFault:
        raise
    except InputError as error:
        raise ImageFault(error.summary, "mode") from error
    except Exception as error:  # libraries raise nearly everything: TypeError, OverflowError, ...
        raise damage(label, "image", error) from error
