"""The formats that damage maps are written in, by name."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.cad_and_gis import require, write_dxf, write_geopackage
from mmseg_heritage.exchange.coco import write_coco
from mmseg_heritage.exchange.cvat import write_cvat
from mmseg_heritage.exchange.damage_map import DamageMap
from mmseg_heritage.exchange.geojson import WORLD_ENDINGS, WORLD_FILE, write_geojson
from mmseg_heritage.exchange.label_studio import write_label_studio
from mmseg_heritage.exchange.layer_files import write_layers
from mmseg_heritage.exchange.ora import write_ora
from mmseg_heritage.exchange.region_list import write_region_table
from mmseg_heritage.exchange.shapes.polygons import Outline, find_outlines
from mmseg_heritage.exchange.svg.svg_writing import write_svg
from mmseg_heritage.exchange.web_annotations import BASE, write_annotations, write_manifest
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.utils.files import replacing


@dataclass(frozen=True)
class Settings:
    """How maps are written.

    Attributes:
        error: Pixels that simplified borders may move; 0 for exact ones.
        max_corners: Of a polygon, see
            :func:`mmseg_heritage.exchange.shapes.polygons.find_outlines`.
        min_area: Smaller regions, in pixels, are left out of polygons and tables.
        flip_y: Whether GeoJSON has y up, for GIS programs.
        base: Address that photographs are served from, for Web Annotations and IIIF.
    """

    error: float = 1.0
    max_corners: int = 500
    min_area: int = 1
    flip_y: bool = False
    base: str = BASE


class Job:
    """A map that is written in several formats; its polygons are found once.

    Args:
        found: The map.
        settings: How it is written.
        photograph: Its file; None where it is not there.
    """

    def __init__(self, found: DamageMap, settings: Settings, photograph: Path | None) -> None:
        self.found, self.settings = found, settings
        self._photograph = photograph

    @cached_property
    def outlines(self) -> list[Outline]:
        """Returns the regions of all classes that are drawn."""
        ids = [c.id for c in self.found.drawn]
        s = self.settings
        return find_outlines(self.found.class_map, ids, s.error, s.max_corners, s.min_area)

    def pixels(self) -> np.ndarray | None:
        """Returns the photograph, uint8 (H, W, 3); None where it is not there.

        Raises:
            InputError: If it cannot be read, or has another size.
        """
        if self._photograph is None:
            return None
        pixels = read_image(self._photograph)
        if pixels.shape[:2] != self.found.class_map.shape:
            raise InputError(
                f"{self._photograph}: has {pixels.shape[1]}x{pixels.shape[0]} pixels, and the map "
                f"{self.found.size[0]}x{self.found.size[1]}"
            )
        return pixels


def _geojson(path: Path, job: Job) -> None:
    write_geojson(path, job.found, job.outlines, job.settings.flip_y)
    suffix = Path(job.found.photograph).suffix.lower()
    # For TIFF .tfw, for PNG .pgw: the first and the last letter, and a w.
    ending = f"{suffix[:2]}{suffix[-1:]}w"
    if job.settings.flip_y and ending in WORLD_ENDINGS:
        with replacing(path.with_name(f"{job.found.name}{ending}")) as temporary:
            temporary.write_text(WORLD_FILE, encoding="ascii")


@dataclass(frozen=True)
class MapFormat:
    """A format with a file, or a folder, for each map.

    Attributes:
        ending: Of its name, behind that of the map.
        write: Writes it.
        library: That is needed, of the extra "all".
    """

    ending: str
    write: Callable[[Path, Job], None]
    library: str = ""


@dataclass(frozen=True)
class CollectedFormat:
    """A format with one file for all maps.

    Attributes:
        name: Of the file.
        write: Yields an object whose ``add`` takes a map and its outlines.
        needs_outlines: Whether it takes them.
        more: Files that are written beside it.
    """

    name: str
    write: Callable[[Path], AbstractContextManager[Any]]
    needs_outlines: bool = True
    more: tuple[str, ...] = ()


MAP_FORMATS = {
    "layers": MapFormat("_layers", lambda path, job: write_layers(path, job.found)),
    "svg": MapFormat(".svg", lambda path, job: write_svg(path, job.found, job.outlines)),
    "geojson": MapFormat(".geojson", _geojson),
    "ora": MapFormat(".ora", lambda path, job: write_ora(path, job.found, job.pixels())),
    "annotations": MapFormat(
        "_annotations.json",
        lambda path, job: write_annotations(path, job.found, job.outlines, job.settings.base),
    ),
    "iiif": MapFormat(
        "_manifest.json",
        lambda path, job: write_manifest(path, job.found, job.outlines, job.settings.base),
    ),
    "dxf": MapFormat(".dxf", lambda p, job: write_dxf(p, job.found, job.outlines), "ezdxf"),
    "gpkg": MapFormat(
        ".gpkg", lambda path, job: write_geopackage(path, job.found, job.outlines), "pyogrio"
    ),
}
COLLECTED_FORMATS = {
    "coco": CollectedFormat("coco.json", partial(write_coco, as_polygons=False)),
    "coco-polygons": CollectedFormat("coco_polygons.json", partial(write_coco, as_polygons=True)),
    "csv": CollectedFormat("region_list.csv", write_region_table),
    "cvat": CollectedFormat("cvat.zip", write_cvat, needs_outlines=False),
    "label-studio": CollectedFormat(
        "label_studio.json",
        partial(write_label_studio, as_polygons=False),
        needs_outlines=False,
        more=("label_studio.xml",),
    ),
    "label-studio-polygons": CollectedFormat(
        "label_studio_polygons.json",
        partial(write_label_studio, as_polygons=True),
        more=("label_studio_polygons.xml",),
    ),
}
FORMATS = (*MAP_FORMATS, *COLLECTED_FORMATS)
"""Names of all formats."""


def require_libraries(names: list[str]) -> None:
    """Refuses formats whose library is absent, before anything is written.

    Raises:
        InputError: With what to install.
    """
    for name in names:
        if name in MAP_FORMATS and (library := MAP_FORMATS[name].library):
            require(library, name)
