"""Reading an SVG that a person has edited: what is seen is what is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import (
    FACTS,
    PHOTOGRAPH,
    Legend,
    Reading,
    check_stated_size,
)
from mmseg_heritage.exchange.layer_files import overlap_notes
from mmseg_heritage.exchange.shapes.checked_rings import MAX_COORDINATE
from mmseg_heritage.exchange.shapes.filling import Painter
from mmseg_heritage.exchange.svg.svg_shapes import shape_rings, transform_of
from mmseg_heritage.exchange.untrusted_files import parse_xml

MAX_BYTES = 256 << 20
_INKSCAPE = "{http://www.inkscape.org/namespaces/inkscape}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_NO_AREA = {"defs", "clipPath", "mask", "symbol", "marker", "pattern", "metadata", "title",
            "desc", "namedview", "style", "script", "image"}  # fmt: skip


def read_svg(path: Path, size: tuple[int, int], legend: Legend) -> Reading:
    """Reads the shapes of an SVG: each lies in the layer, or group, of its class.

    Transforms, curves and fill rules are applied. Where the photograph is linked, its place says
    where pixels are; else the document must have the photograph's size. Hidden layers are read.

    Args:
        path: The file.
        size: (width, height) of the photograph.
        legend: What names of layers mean.

    Raises:
        InputError: With everything that cannot be read, by the ids of the elements.
    """
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: is larger than {MAX_BYTES >> 20} MB; give a smaller one")
    root = parse_xml(path.read_bytes(), str(path))
    if _tag(root) != "svg":
        raise InputError(f"{path}: expected an SVG, found <{_tag(root)}>")
    problems: list[str] = []
    to_pixels = _to_pixels(root, size, path)
    painter = Painter(size, legend.rest(_facts(root)))
    for element, matrix, names, style in _elements(root, np.eye(3), (), {}, problems):
        _paint(element, to_pixels @ matrix, names, style, painter, legend, problems)
    legend.check(path, problems)
    return Reading(painter.class_map, overlap_notes(painter))


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _facts(root: ElementTree.Element) -> object:
    for element in root.iter():
        if _tag(element) == "metadata" and element.get("id") == FACTS:
            try:
                return json.loads(element.text or "")
            except (ValueError, RecursionError):
                return None
    return None


def _style_of(element: ElementTree.Element) -> dict[str, str]:
    """Returns what an element says about its look, as attributes and in its style."""
    style: dict[str, str] = {
        str(key): element.attrib[key]
        for key in ("fill", "fill-rule", "stroke")
        if key in element.attrib
    }
    for part in element.get("style", "").split(";"):
        key, _, value = part.partition(":")
        if value:
            style[key.strip()] = value.strip()
    return style


def _elements(
    element: ElementTree.Element,
    matrix: NDArray[np.float64],
    names: tuple[str, ...],
    style: dict[str, str],
    problems: list[str],
) -> Iterator[tuple[ElementTree.Element, NDArray[np.float64], tuple[str, ...], dict[str, str]]]:
    """Yields elements with their transform, the names of the groups around them and their style."""
    if _tag(element) in _NO_AREA - {"image"}:
        return
    try:
        matrix = matrix @ transform_of(element.get("transform", ""))
    except ValueError as error:
        problems.append(f"'{element.get('id', _tag(element))}': {error}")
        return
    style = {**style, **_style_of(element)}
    yield element, matrix, names, style
    if _tag(element) == "g":
        names = (*names, element.get(f"{_INKSCAPE}label") or element.get("id") or "")
    for child in element:
        yield from _elements(child, matrix, names, style, problems)


def _to_pixels(root: ElementTree.Element, size: tuple[int, int], path: Path) -> np.ndarray:
    """Returns the matrix from the document's coordinates to pixels of the photograph."""
    for element, matrix, names, _ in _elements(root, np.eye(3), (), {}, []):
        if _tag(element) == "image" and (PHOTOGRAPH in names or element.get(_LINK)):
            (corners,) = shape_rings("rect", element.attrib) or [np.zeros((4, 2))]
            (x, y), (right, bottom) = corners[0], corners[2]
            if right > x and bottom > y:
                place = np.array([[right - x, 0, x], [0, bottom - y, y], [0, 0, 1.0]])
                whole = matrix @ place @ np.diag([1 / size[0], 1 / size[1], 1])
                if abs(np.linalg.det(whole)) > 1e-12:
                    return np.linalg.inv(whole)
    box = [float(n) for n in re.findall(r"[-+.\deE]+", root.get("viewBox", ""))]
    if len(box) == 4:
        check_stated_size(path, (box[2], box[3]), size)
        return np.array([[1, 0, -box[0]], [0, 1, -box[1]], [0, 0, 1.0]])
    sides = [root.get(key, "").removesuffix("px") for key in ("width", "height")]
    if not all(re.fullmatch(r"\d+\.?\d*", side) for side in sides):
        raise InputError(f"{path}: expected a viewBox, or the linked photograph in a layer")
    check_stated_size(path, (float(sides[0]), float(sides[1])), size)
    return np.eye(3)


def _paint(
    element: ElementTree.Element,
    matrix: NDArray[np.float64],
    names: tuple[str, ...],
    style: dict[str, str],
    painter: Painter,
    legend: Legend,
    problems: list[str],
) -> None:
    label = element.get("id") or _tag(element)
    if _tag(element) in ("text", "use", "line"):
        problems.append(f"'{label}': <{_tag(element)}> has no area; make it a path, or delete it")
        return
    try:
        rings = shape_rings(_tag(element), element.attrib)
    except ValueError as error:
        problems.append(f"'{label}': {error}")
        return
    if rings is None or PHOTOGRAPH in names:
        return
    if style.get("fill") == "none":
        problems.append(f"'{label}': a line without filling; make an area of it (stroke to path)")
        return
    # Programs put groups of their own around shapes and layers.
    known = [name for name in names if legend.knows(name)]
    if not names:
        problems.append(f"'{label}': is in no layer, or group, that names its class")
        return
    class_id = legend.find((known or names)[-1], "layer")
    corners = [np.c_[ring, np.ones(len(ring))] @ matrix[:2].T for ring in rings if len(ring)]
    if not all((np.abs(ring) < MAX_COORDINATE).all() for ring in corners):  # also NaN
        problems.append(f"'{label}': has coordinates that are no pixels of an image")
    elif class_id is not None:
        painter.paint_rings(corners, class_id, style.get("fill-rule", "nonzero") != "evenodd")
