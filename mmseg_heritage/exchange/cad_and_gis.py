"""DXF for drawing programs, and GeoPackage for GIS; both through libraries of the extra "all"."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import shapely

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import DamageMap, file_name_of
from mmseg_heritage.exchange.geojson import properties_of
from mmseg_heritage.exchange.shapes.polygons import Outline
from mmseg_heritage.utils.files import replacing

_MILLIMETERS = 4  # of DXF's $INSUNITS


def require(name: str, what: str, package: str = "") -> ModuleType:
    """Imports a library that few need.

    Args:
        name: Of its module.
        what: What needs it.
        package: What it is installed as, if not by the name of the module.

    Raises:
        InputError: If it is absent, with what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"{what} needs {name} ({error}): pip install {package or name}") from error


def write_dxf(path: Path, found: DamageMap, outlines: Sequence[Outline]) -> None:
    """Writes closed polylines, a layer for each class; y up, in mm with a scale, else in pixels.

    The origin is the bottom left corner of the image.
    """
    ezdxf = require("ezdxf", "DXF")
    document = ezdxf.new("R2010")
    scale = found.mm_per_pixel
    document.units = _MILLIMETERS if scale else 0
    space = document.modelspace()
    for c in found.drawn:
        layer = document.layers.add(file_name_of(c.name))
        layer.rgb = c.color
    height = found.size[1]
    for outline in outlines:
        name = file_name_of(found.class_of(outline.region.class_id).name)
        for ring in outline.rings:
            corners = np.stack([ring[:, 0], height - ring[:, 1]], axis=1) * (scale or 1)
            space.add_lwpolyline(corners.tolist(), close=True, dxfattribs={"layer": name})
    with replacing(path) as temporary:
        document.saveas(temporary)


def write_geopackage(path: Path, found: DamageMap, outlines: Sequence[Outline]) -> None:
    """Writes a table "damage" of polygons without a place on the earth.

    y is negative, so that it runs up, as GIS programs see an image without coordinates.
    """
    raw = require("pyogrio", "GeoPackage").raw
    polygons = [
        shapely.Polygon(rings[0] * (1, -1), [ring * (1, -1) for ring in rings[1:]])
        for rings in (outline.rings for outline in outlines)
    ]
    rows = [properties_of(found, outline) for outline in outlines]
    fields = list(rows[0]) if rows else []
    columns = [np.array([row[key] for row in rows]) for key in fields]
    columns = [c.astype(object) if c.dtype.kind == "U" else c for c in columns]
    with replacing(path) as temporary, warnings.catch_warnings():
        temporary.unlink()  # or it would be opened as a GeoPackage
        warnings.simplefilter("ignore")  # that there is no place on the earth
        raw.write(
            temporary,
            np.array([shapely.to_wkb(polygon) for polygon in polygons], object),
            columns,
            fields,
            layer="damage",
            driver="GPKG",
            geometry_type="Polygon",
            crs=None,
        )
