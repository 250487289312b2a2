"""Label Studio: tasks with brush or polygon regions, as suggestions to be corrected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TextIO
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import FACTS, DamageMap, Legend, Reading, check_stated_size
from mmseg_heritage.exchange.layer_files import overlap_notes
from mmseg_heritage.exchange.shapes.checked_rings import RingProblem, checked_rings
from mmseg_heritage.exchange.shapes.filling import Painter
from mmseg_heritage.exchange.shapes.masks_as_runs import brush_code, brush_mask
from mmseg_heritage.exchange.shapes.polygons import Outline
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.utils.json_reading import parse_json
from mmseg_heritage.version import __version__

_BRUSH, _POLYGON, _IMAGE = "brush", "polygon", "image"  # names in the labeling interface
_LOCAL = "/data/local-files/?d="  # of Label Studio's local storage
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what an upload puts before a file name


class LabelStudioWriter:
    """Adds maps as tasks to an opened file; :func:`write_label_studio` makes it.

    Args:
        file: Opened for text.
        as_polygons: Whether regions without holes are polygons. Label Studio's polygons know no
            holes: regions that have some are brush strokes, one for each class.
    """

    def __init__(self, file: TextIO, as_polygons: bool) -> None:
        self._file, self._as_polygons = file, as_polygons
        self._number = 0
        self.labels: dict[str, str] = {}

    def add(self, found: DamageMap, outlines: Sequence[Outline]) -> None:
        """Adds a map."""
        self._file.write(",\n" if self._number else "[\n")
        self._number += 1
        self.labels |= {c.name: "#" + bytes(c.color).hex() for c in found.drawn}
        name = found.photograph_name
        task = {
            "data": {_IMAGE: _LOCAL + quote(name), FACTS: found.facts()},
            "predictions": [
                {
                    "model_version": f"mmseg_heritage {__version__}",
                    "result": list(self._results(found, outlines)),
                }
            ],
        }
        json.dump(task, self._file, ensure_ascii=False)

    def _results(self, found: DamageMap, outlines: Sequence[Outline]) -> Iterator[dict[str, Any]]:
        size = np.array(found.size)
        for c in found.drawn:
            brushed = found.class_map == c.id
            if self._as_polygons:
                brushed[:] = False
            for outline in outlines if self._as_polygons else ():
                region = outline.region
                if region.class_id == c.id and len(outline.rings) == 1:
                    points = (outline.rings[0] * 100 / size).tolist()
                    yield _result(found, f"r{outline.number}", _POLYGON, c.name, points=points)
                elif region.class_id == c.id:
                    left, top, right, bottom = region.box
                    brushed[top:bottom, left:right] |= region.mask()
            if brushed.any():
                code = brush_code(brushed)
                yield _result(found, f"c{c.id}", _BRUSH, c.name, format="rle", rle=code)

    def close(self) -> None:
        """Ends the list of tasks."""
        self._file.write("\n]\n" if self._number else "[]\n")

    def interface(self) -> str:
        """Returns the labeling interface of the project, XML to be pasted into its settings."""
        labels = "".join(
            f"    <Label value={quoteattr(name)} background={quoteattr(color)}/>\n"
            for name, color in self.labels.items()
        )
        tags = [("BrushLabels", _BRUSH)] + [("PolygonLabels", _POLYGON)] * self._as_polygons
        parts = [f'  <{t} name="{n}" toName="{_IMAGE}">\n{labels}  </{t}>\n' for t, n in tags]
        image = f'  <Image name="{_IMAGE}" value="${_IMAGE}" zoom="true" zoomControl="true"/>\n'
        return f"<View>\n{image}{''.join(parts)}</View>\n"


def _result(found: DamageMap, region_id: str, kind: str, name: str, **value: Any) -> dict[str, Any]:
    width, height = found.size
    return {
        "id": region_id,
        "type": f"{kind}labels",
        "from_name": kind,
        "to_name": _IMAGE,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**value, f"{kind}labels": [name]},
    }


@contextmanager
def write_label_studio(path: Path, as_polygons: bool) -> Iterator[LabelStudioWriter]:
    """Yields a writer of tasks, which are there when all maps are in them.

    The labeling interface is written beside them, with the ending ``.xml``.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        writer = LabelStudioWriter(file, as_polygons)
        yield writer
        writer.close()
    with replacing(path.with_suffix(".xml")) as temporary:
        temporary.write_text(writer.interface(), encoding="utf-8")


def open_label_studio(path: Path) -> dict[str, partial[Reading]]:
    """Opens tasks as Label Studio exports them (JSON), or as they are written here.

    Returns:
        File name of a photograph -> reads its map, given (width, height) and a legend.

    Raises:
        InputError: If it is none, or tasks say no image.
    """
    try:
        tasks = parse_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected tasks of Label Studio ({error})") from error
    if not isinstance(tasks, list):
        raise InputError(f"{path}: expected a list of tasks, as Label Studio exports to JSON")
    readers: dict[str, partial[Reading]] = {}
    problems = []
    for number, task in enumerate(tasks, start=1):
        name = _image_of(task)
        if not name:
            problems.append(f"task {number}: says no image in data.{_IMAGE}")
        elif name in readers:
            problems.append(f"task {number}: has the image of another task, {name}")
        else:
            readers[name] = partial(_read, path, task)
    if problems:
        raise InputError(f"{path}: the tasks cannot be read", problems)
    return readers


def _image_of(task: Any) -> str:
    """Returns the file name of the photograph of a task, as it was before it was uploaded."""
    data = task.get("data") if isinstance(task, dict) else None
    if not isinstance(data, dict):
        return ""
    facts = data.get(FACTS)
    image = facts.get("image") if isinstance(facts, dict) else None
    if not isinstance(image, str) or not image:
        links = [data.get(_IMAGE), *data.values()]
        image = next((link for link in links if isinstance(link, str) and link), "")
        parts = urlsplit(image)
        image = unquote((parse_qs(parts.query).get("d") or [parts.path])[0])
        image = _UPLOADED.sub("", PurePosixPath(image).name)
    return PurePosixPath(image.replace("\\", "/")).name


def _read(path: Path, task: dict[str, Any], size: tuple[int, int], legend: Legend) -> Reading:
    painter = Painter(size, legend.rest(task["data"].get(FACTS)))
    problems = []
    for result in _results_of(task):
        label = f"region '{result.get('id', '')}'"
        value = result.get("value")
        kind = str(result.get("type", "")).removesuffix("labels")
        if kind not in (_BRUSH, _POLYGON) or not isinstance(value, dict):
            problems.append(f"{label}: expected a brush or a polygon with a label, found '{kind}'")
            continue
        if result.get("image_rotation"):
            problems.append(f"{label}: was drawn on the turned image; turn the photograph itself")
            continue
        try:
            stated = (result.get("original_width", 0), result.get("original_height", 0))
            check_stated_size(Path(label), stated, size)
            names = value.get(f"{kind}labels") or [""]
            class_id = legend.find(str(names[0]), label)
            _paint(kind, value, label, class_id, painter, size)
        except (InputError, RingProblem) as error:
            problems.append(str(error))
        except (ValueError, TypeError, OverflowError, IndexError, KeyError) as error:
            problems.append(f"{label}: {error}")
    legend.check(path, problems)
    return Reading(painter.class_map, overlap_notes(painter))


def _results_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the regions of a task: those of the last annotation, or of the last prediction."""
    for key in ("annotations", "completions", "predictions"):
        entries = task.get(key)
        entries = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
        kept = [e for e in entries if not e.get("was_cancelled")]
        if kept:
            results = kept[-1].get("result")
            return [r for r in results if isinstance(r, dict)] if isinstance(results, list) else []
    return []


def _paint(
    kind: str,
    value: dict[str, Any],
    label: str,
    class_id: int | None,
    painter: Painter,
    size: tuple[int, int],
) -> None:
    if kind == _POLYGON:
        corners = np.array(value["points"], float) * size / 100
        rings = checked_rings([corners.tolist()], label)
        if class_id is not None:
            painter.paint_rings(rings, class_id)
        return
    mask = brush_mask(value["rle"], size)
    if class_id is not None:
        painter.paint_mask(mask, class_id)
