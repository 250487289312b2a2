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
    import tifffile  # here, since few commands need it

    table, colors = stored_colors(palette, mask_values)
    more: dict[str, Any] = {}
    if resolution is not None:
        more = {"resolution": resolution[:2], "resolutionunit": resolution[2]}
    with replacing(path) as temporary:
        tifffile.imwrite(
            temporary,
            data=_tiles(class_map, table),
            shape=class_map.shape,
            dtype=np.uint8,
            tile=(TILE, TILE),
            photometric="palette",
            colormap=colors.T.astype(np.uint16) * 257,
            compression="zlib",
            maxworkers=1,
            bigtiff=class_map.size > _BIG,
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


def sampled(array: np.ndarray, edge: int) -> np.ndarray:
    """Returns every n-th pixel of an array (H, W), so that no side has more than ``edge``."""
    step = max(1.0, max(array.shape) / edge)
    rows, columns = (
        ((np.arange(max(int(side / step), 1)) + 0.5) * min(step, side)).astype(int)
        for side in array.shape
    )
    return np.stack([array[row, columns] for row in rows])
