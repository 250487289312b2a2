"""A CSV with a row for each region of each map."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.exchange.damage_map import DamageMap
from mmseg_heritage.exchange.shapes.polygons import Outline
from mmseg_heritage.utils.files import replacing

COLUMNS = ("image", "region", "class", "class_id", "area_px", "area_mm2", "share_of_image",
           "left", "top", "right", "bottom", "center_x", "center_y")  # fmt: skip


class RegionWriter:
    """Adds maps to the table; :func:`write_region_table` makes it.

    Args:
        writer: Of the module csv.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        writer.writerow(COLUMNS)

    def add(self, found: DamageMap, outlines: Sequence[Outline]) -> None:
        """Adds the regions of a map; the center is the mean of the centers of its pixels."""
        scale = found.mm_per_pixel
        for outline in outlines:
            region = outline.region
            left, top, right, bottom = region.box
            rows, columns = np.nonzero(region.mask())
            self._writer.writerow([
                found.name, outline.number, found.class_of(region.class_id).name, region.class_id,
                region.area, f"{region.area * scale * scale:.6g}" if scale else "",
                f"{region.area / found.class_map.size:.6g}", left, top, right, bottom,
                f"{left + columns.mean() + 0.5:.2f}", f"{top + rows.mean() + 0.5:.2f}",
            ])  # fmt: skip


@contextmanager
def write_region_table(path: Path) -> Iterator[RegionWriter]:
    """Yields a writer of a table, which is there when all maps are in it."""
    with (
        replacing(path) as temporary,
        # With a mark at the beginning, as spreadsheets need it to read UTF-8.
        temporary.open("w", encoding="utf-8-sig", newline="") as file,
    ):
        yield RegionWriter(csv.writer(file))
