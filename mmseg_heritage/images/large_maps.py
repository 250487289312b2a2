"""Writing class maps that are too large to be held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.images.writing import Palette, stored_colors
from mmseg_heritage.utils.files import replacing

TILE = 256
"""Pixels of a side of a tile in written files."""
_BIG = 1 << 31  # pixels; a classic TIFF holds 4 GiB


def write_large_class_map(
    path: str | Path,
    class_map: np.ndarray,
    palette: Palette,
    mask_values: Sequence[int] | None = None,
    resolution: tuple[float, float, int] | None = None,
) -> None:
    """Writes classes as a tiled TIFF with the palette; above 2^31 pixels as BigTIFF.

    A row of tiles is held at a time.

    Args:
        path: File ending in .tif.
        class_map: uint8 (H, W), training ids or 255; usually mapped from a file.
        palette: As for :func:`mmseg_heritage.images.writing.write_class_map`.
        mask_values: As there.
        resolution: Pixels per unit across and down, and the unit as TIFF numbers it (2 for an
            inch, 3 for a centimeter); None to leave it out.
    """
    table, colors = stored_colors(palette, mask_values)
    colormap = colors.T.astype(np.uint16) * 257
    _write_tiff(path, class_map, table, resolution, photometric="palette", colormap=colormap)


def write_large_gray(
    path: str | Path, levels: np.ndarray, resolution: tuple[float, float, int] | None = None
) -> None:
    """Writes gray levels, uint8 (H, W), as :func:`write_large_class_map` writes classes."""
    same = np.arange(256, dtype=np.uint8)
    _write_tiff(path, levels, same, resolution, photometric="minisblack")


def read_large_map(path: str | Path) -> np.ndarray:
    """Reads what this module has written, uint8 (H, W), mapped from a temporary file."""
    import tifffile  # here, since few commands need it

    found: np.ndarray = tifffile.imread(path, out="memmap")
    return found


def _write_tiff(
    path: str | Path,
    values: np.ndarray,
    table: np.ndarray,
    resolution: tuple[float, float, int] | None,
    **more: Any,
) -> None:
    """Writes values, uint8 (H, W), as the table says, as a tiled TIFF."""
    import tifffile  # here, since few commands need it

    if resolution is not None:
        more |= {"resolution": resolution[:2], "resolutionunit": resolution[2]}
    with replacing(path) as temporary:
        tifffile.imwrite(
            temporary,
            data=_tiles(values, table),
            shape=values.shape,
            dtype=np.uint8,
            tile=(TILE, TILE),
            compression="zlib",
            maxworkers=1,
            bigtiff=values.size > _BIG,
            software="mmseg_heritage",
            metadata=None,
            **more,
        )


def _tiles(class_map: np.ndarray, table: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the tiles of a map, row by row; those at the edge are filled up with 255."""
    height, width = class_map.shape
    for top in range(0, height, TILE):
        band = table[class_map[top : top + TILE]]
        for left in range(0, width, TILE):
            tile = np.full((TILE, TILE), 255, np.uint8)
            part = band[:, left : left + TILE]
            tile[: part.shape[0], : part.shape[1]] = part
            yield tile
