"""GeoJSON (RFC 7946) in the coordinates of the image, which has no place on the earth."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import FACTS, DamageMap, Legend, Reading, check_stated_size
from mmseg_heritage.exchange.layer_files import overlap_notes
from mmseg_heritage.exchange.shapes.checked_rings import RingProblem, checked_rings
from mmseg_heritage.exchange.shapes.filling import Painter
from mmseg_heritage.exchange.shapes.polygons import Outline
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.utils.json_reading import parse_json

WORLD_FILE = "1\n0\n0\n-1\n0.5\n-0.5\n"
"""Pixel size, rotations and the center of the top left pixel, for y up: what GIS programs read."""
WORLD_ENDINGS = (".jgw", ".pgw", ".tfw", ".bpw", ".wpw")
"""Of world files beside photographs of the formats that are read."""
_NAMES = ("class", "label", "name")  # properties that may hold the class


def write_geojson(
    path: Path, found: DamageMap, outlines: Sequence[Outline], flip_y: bool = False
) -> None:
    """Writes regions as features.

    Args:
        path: The file.
        found: The map.
        outlines: Its regions.
        flip_y: Makes y negative, as GIS programs see an image without coordinates: its top left
            corner at (0, 0), y up.
    """
    facts = {**found.facts(), "y": "up" if flip_y else "down"}
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        head = {"type": "FeatureCollection", FACTS: facts}
        file.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "features": [')
        for number, outline in enumerate(outlines):
            file.write(",\n" if number else "\n")
            json.dump(_feature(found, outline, flip_y), file, ensure_ascii=False)
        file.write("\n]}\n")


def properties_of(found: DamageMap, outline: Outline) -> dict[str, Any]:
    """Returns what tables of regions say about one."""
    c = found.class_of(outline.region.class_id)
    scale = found.mm_per_pixel
    area = outline.region.area
    return {
        "region": outline.number,
        "class": c.name,
        "class_id": c.id,
        "area_px": area,
        **({"area_mm2": area * scale * scale} if scale else {}),
        "error_px": outline.error,
        "color": "#" + bytes(c.color).hex(),
    }


def closed(ring: np.ndarray) -> np.ndarray:
    """Returns a ring with its first corner at the end again."""
    return np.concatenate([ring, ring[:1]])


def _feature(found: DamageMap, outline: Outline, flip_y: bool) -> dict[str, Any]:
    rings = outline.rings
    if flip_y:  # turned as well, or they would run the wrong way round
        rings = tuple(ring[::-1] * (1, -1) for ring in rings)
    coordinates = [closed(ring).tolist() for ring in rings]
    return {
        "type": "Feature",
        "id": outline.number,
        "properties": properties_of(found, outline),
        "geometry": {"type": "Polygon", "coordinates": coordinates},
    }


def read_geojson(path: Path, size: tuple[int, int], legend: Legend) -> Reading:
    """Reads polygons whose property "class", "label" or "name" says their class.

    Later features lie on top. y runs up where the file says so, or where no y is above 0 and some
    are below, as GIS programs write it.

    Args:
        path: The file.
        size: (width, height) of the photograph.
        legend: What names mean.

    Raises:
        InputError: With everything that cannot be read, by the ids of features.
    """
    try:
        content = parse_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected GeoJSON ({error})") from error
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list):
        raise InputError(f"{path}: expected a FeatureCollection of GeoJSON")
    facts = content.get(FACTS)
    facts = facts if isinstance(facts, dict) else {}
    if isinstance(facts.get("width"), int) and isinstance(facts.get("height"), int):
        check_stated_size(path, (facts["width"], facts["height"]), size)
    problems: list[str] = []
    shapes: list[tuple[int, list[np.ndarray]]] = []
    for number, feature in enumerate(features, start=1):
        try:
            shapes += _shapes_of(feature, number, legend)
        except RingProblem as problem:
            problems.append(str(problem))
    ys = [ring[:, 1] for _, rings in shapes for ring in rings]
    is_up = facts.get("y") == "up" or (
        bool(ys) and max(y.max() for y in ys) <= 0 > min(y.min() for y in ys)
    )
    painter = Painter(size, legend.rest(facts))
    legend.check(path, problems)
    for class_id, rings in shapes:
        painter.paint_rings([ring * (1, -1) for ring in rings] if is_up else rings, class_id)
    return Reading(painter.class_map, overlap_notes(painter))


def _shapes_of(feature: Any, number: int, legend: Legend) -> list[tuple[int, list[np.ndarray]]]:
    """Returns class and rings of the polygons of a feature."""
    if not isinstance(feature, Mapping):
        raise RingProblem(f"feature {number}: expected an object")
    properties = feature.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    name = feature.get("id", properties.get("region", properties.get("fid", number)))
    label = f"feature {name}"
    geometry = feature.get("geometry")
    if geometry is None:  # deleted in a GIS program
        return []
    kind = geometry.get("type") if isinstance(geometry, Mapping) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise RingProblem(f"{label}: expected a Polygon or MultiPolygon, found {kind}")
    given = [properties[key] for key in _NAMES if isinstance(properties.get(key), str)]
    if not given:
        raise RingProblem(f"{label}: has no property 'class' that says its class")
    class_id = legend.find(given[0], label)
    parts = geometry.get("coordinates")
    parts = [parts] if kind == "Polygon" else parts
    if not isinstance(parts, list):
        raise RingProblem(f"{label}: has no coordinates")
    polygons = [checked_rings(part, label) for part in parts]
    return [] if class_id is None else [(class_id, rings) for rings in polygons]
