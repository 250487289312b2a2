"""COCO instances: each region as run lengths (RLE), or as polygons where it has no holes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import FACTS, DamageMap, Legend, Reading, check_stated_size
from mmseg_heritage.exchange.layer_files import overlap_notes
from mmseg_heritage.exchange.shapes.checked_rings import RingProblem, checked_rings
from mmseg_heritage.exchange.shapes.filling import Painter
from mmseg_heritage.exchange.shapes.masks_as_runs import (
    coco_counts,
    coco_mask,
    compress_counts,
    expand_counts,
)
from mmseg_heritage.exchange.shapes.polygons import Outline
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.utils.json_reading import form_problems, parse_json

_FORM: dict[str, list[dict[str, Any]]] = {
    "images": [{"id": int, "file_name": str, "width": int, "height": int}],
    "annotations": [{"id": int, "image_id": int, "category_id": int}],
    "categories": [{"id": int, "name": str}],
}


class CocoWriter:
    """Adds maps to an opened file; :func:`write_coco` makes it.

    Args:
        file: Opened for text.
        as_polygons: Whether regions without holes are polygons. COCO's polygons know no holes:
            regions that have some are run lengths in any case.
    """

    def __init__(self, file: TextIO, as_polygons: bool) -> None:
        self._file, self._as_polygons = file, as_polygons
        self._images: list[dict[str, Any]] = []
        self._categories: dict[int, dict[str, Any]] = {}
        self._facts: dict[str, Any] = {}
        self._number = 0
        file.write('{"annotations": [')

    def add(self, found: DamageMap, outlines: Sequence[Outline]) -> None:
        """Adds a map."""
        width, height = found.size
        name = found.photograph_name
        image = {"id": len(self._images) + 1, "file_name": name, "width": width, "height": height}
        self._images.append(image)
        for c in found.drawn:
            self._categories[c.id] = {"id": c.id, "name": c.name, "supercategory": c.group}
        self._facts = {key: found.facts()[key] for key in ("schema", "rest")}
        for outline in outlines:
            self._file.write(",\n" if self._number else "\n")
            self._number += 1
            json.dump(self._annotation(found, outline, len(self._images)), self._file)

    def _annotation(self, found: DamageMap, outline: Outline, image_id: int) -> dict[str, Any]:
        region = outline.region
        left, top, right, bottom = region.box
        segmentation: Any
        if self._as_polygons and len(outline.rings) == 1:
            segmentation = [outline.rings[0].ravel().tolist()]
        else:
            counts = coco_counts(region.mask(), (left, top), found.size)
            segmentation = {"size": [*found.size[::-1]], "counts": compress_counts(counts)}
        return {
            "id": self._number,
            "image_id": image_id,
            "category_id": region.class_id,
            "segmentation": segmentation,
            "area": region.area,
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": 0,
        }

    def close(self) -> None:
        """Writes what comes last: images and categories."""
        end = {
            "images": self._images,
            "categories": list(self._categories.values()),
            "info": {FACTS: self._facts},
        }
        self._file.write("\n], " + json.dumps(end, ensure_ascii=False)[1:] + "\n")


@contextmanager
def write_coco(path: Path, as_polygons: bool) -> Iterator[CocoWriter]:
    """Yields a writer of a file, which is there when all maps are in it."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        writer = CocoWriter(file, as_polygons)
        yield writer
        writer.close()


def open_coco(path: Path) -> dict[str, partial[Reading]]:
    """Opens a COCO file.

    Returns:
        File name of a photograph -> reads its map, given (width, height) and a legend.

    Raises:
        InputError: If it is none, or with everything that has not the form of COCO.
    """
    try:
        content = parse_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected COCO ({error})") from error
    missing = [key for key in _FORM if not isinstance(content, dict) or key not in content]
    problems = [f"no '{key}'" for key in missing]
    problems += list(form_problems(content, _FORM, path.name)) if not missing else []
    for key, fields in _FORM.items() if not problems else ():
        for entry in content[key]:
            problems += [f"{key}: an entry has no '{f}'" for f in fields[0] if f not in entry]
    if problems:
        raise InputError(f"{path}: expected COCO instances", problems)
    names = {category["id"]: category["name"] for category in content["categories"]}
    of_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content["annotations"]:
        of_image[annotation["image_id"]].append(annotation)
    info = content.get("info")
    facts = info.get(FACTS) if isinstance(info, dict) else None
    return {
        image["file_name"]: partial(_read, path, image, of_image[image["id"]], names, facts)
        for image in content["images"]
    }


def _read(
    path: Path,
    image: dict[str, Any],
    annotations: Sequence[dict[str, Any]],
    names: dict[int, str],
    facts: object,
    size: tuple[int, int],
    legend: Legend,
) -> Reading:
    check_stated_size(path, (image["width"], image["height"]), size)
    painter = Painter(size, legend.rest(facts))
    problems = []
    for annotation in annotations:
        label = f"annotation {annotation['id']}"
        name = names.get(annotation["category_id"])
        if name is None:
            problems.append(f"{label}: there is no category {annotation['category_id']}")
            continue
        class_id = legend.find(name, "categories")
        try:
            _paint(annotation.get("segmentation"), label, class_id, painter, size)
        except (ValueError, TypeError, OverflowError) as error:
            is_named = isinstance(error, RingProblem)
            problems.append(str(error) if is_named else f"{label}: {error}")
    legend.check(path, problems)
    return Reading(painter.class_map, overlap_notes(painter))


def _paint(
    segmentation: Any, label: str, class_id: int | None, painter: Painter, size: tuple[int, int]
) -> None:
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [size[1], size[0]]:
            raise ValueError(f"expected the size {[size[1], size[0]]} of its image")
        counts = segmentation.get("counts")
        if not isinstance(counts, (str, list)):
            raise ValueError("expected counts of run lengths")
        mask = coco_mask(expand_counts(counts) if isinstance(counts, str) else counts, size)
        if class_id is not None:
            painter.paint_mask(mask, class_id)
        return
    if not isinstance(segmentation, list):
        raise ValueError("expected a segmentation of polygons or run lengths")
    for numbers in segmentation:
        corners = np.array(numbers, float).reshape(-1, 2)
        rings = checked_rings([corners.tolist()], label)
        if class_id is not None:
            painter.paint_rings(rings, class_id)
