"""OpenRaster (ORA): a file of layers that Krita, GIMP and MyPaint open."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.archives import write_member
from mmseg_heritage.exchange.damage_map import (
    PHOTOGRAPH,
    DamageMap,
    Legend,
    Reading,
    check_stated_size,
)
from mmseg_heritage.exchange.layer_files import OPAQUE, layer_notes, layer_png, num_soft, read_alpha
from mmseg_heritage.exchange.shapes.filling import Painter
from mmseg_heritage.exchange.untrusted_files import open_archive, parse_xml, read_member
from mmseg_heritage.images.writing import color_table
from mmseg_heritage.taxonomy import IGNORE_INDEX
from mmseg_heritage.utils.files import replacing
from mmseg_heritage.utils.text import counted

_THUMBNAIL = 256  # pixels of its longer side at most
_SMALL = 2048  # pixels of a side, of the merged image where there is no photograph


def write_ora(path: Path, found: DamageMap, photograph: np.ndarray | None) -> None:
    """Writes a layer for each class, cut to where the class is, over the photograph.

    What is outside the object is in a hidden layer.

    Args:
        path: The file.
        found: The map.
        photograph: uint8 (H, W, 3), RGB; None to leave it out.
    """
    width, height = found.size
    image = ElementTree.Element("image", version="0.0.5", w=str(width), h=str(height))
    stack = ElementTree.SubElement(image, "stack", name="root")
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        write_member(archive, "mimetype", "image/openraster")  # the first, and not compressed

        def add(name: str, content: bytes, x: int, y: int, opacity: float, shown: bool) -> None:
            file = f"data/layer{len(stack):03d}.png"
            write_member(archive, file, content)
            attributes = {
                "name": name, "src": file, "x": str(x), "y": str(y), "opacity": f"{opacity:g}",
                "visibility": "visible" if shown else "hidden", "composite-op": "svg:src-over",
            }  # fmt: skip
            ElementTree.SubElement(stack, "layer", attributes)

        for c in found.drawn:
            mask = found.class_map == c.id
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if len(rows):
                part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                add(
                    c.name,
                    layer_png(part, c.color),
                    int(columns[0]),
                    int(rows[0]),
                    0.5,
                    c.id != IGNORE_INDEX,
                )
        if photograph is not None:
            add(PHOTOGRAPH, _png(photograph), 0, 0, 1, True)
        merged = _merged(found, photograph)
        write_member(archive, "mergedimage.png", _png(merged))
        factor = min(1.0, _THUMBNAIL / max(merged.shape))
        small = (max(1, int(width * factor)), max(1, int(height * factor)))
        write_member(
            archive,
            "Thumbnails/thumbnail.png",
            _png(cv2.resize(merged, small, interpolation=cv2.INTER_AREA)),
        )
        content = ElementTree.tostring(image, encoding="utf-8", xml_declaration=True)
        write_member(archive, "stack.xml", content)


def _merged(found: DamageMap, photograph: np.ndarray | None) -> np.ndarray:
    """Returns what all layers look like together, uint8 (H, W, 3), RGB."""
    palette = color_table(())
    drawn = np.zeros(256, bool)
    for c in found.drawn:
        palette[c.id], drawn[c.id] = c.color, c.id != IGNORE_INDEX
    shown = np.empty((*found.class_map.shape, 3), np.uint8)
    for row, ids in enumerate(found.class_map):  # in rows: other ways hold many bytes for a pixel
        below = np.uint8(255) if photograph is None else photograph[row]
        mixed = palette[ids] // 2 + below // 2
        shown[row] = np.where(drawn[ids][:, None], mixed, below)
    return shown


def _png(image: np.ndarray) -> bytes:
    done, content = cv2.imencode(
        ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    if not done:
        raise InputError(f"{image.shape[1]}x{image.shape[0]} pixels cannot be written as PNG")
    return content.tobytes()


def read_ora(path: Path, size: tuple[int, int], legend: Legend) -> Reading:
    """Reads the layers of an ORA file, each named by its class; upper ones lie on top.

    Opacity of layers is not looked at, only that of their pixels. Hidden layers are read.

    Args:
        path: The file.
        size: (width, height) of the photograph.
        legend: What names mean; a layer "Photograph" is left out.

    Raises:
        InputError: With everything that cannot be read.
    """
    with open_archive(path) as archive:
        root = parse_xml(read_member(archive, "stack.xml", path), f"{path}: stack.xml")
        check_stated_size(path, (_whole(root, "w", path), _whole(root, "h", path)), size)
        painter = Painter(size, legend.rest(None))
        soft, hidden, problems = 0, 0, []
        layers = list(_layers(root, 0, 0, path))
        for layer, x, y in reversed(layers):  # the first is the uppermost
            name = layer.get("name", "")
            if name == PHOTOGRAPH:
                continue
            class_id = legend.find(name, "layer")
            if class_id is None:
                continue
            hidden += layer.get("visibility") == "hidden" and class_id != IGNORE_INDEX
            try:
                content = read_member(archive, layer.get("src", ""), path)
                alpha = read_alpha(content, f"{path}: layer '{name}'")
            except InputError as error:
                problems.append(str(error))
                continue
            soft += num_soft(alpha)
            painter.paint_mask(alpha >= OPAQUE, class_id, (x, y))
    legend.check(path, problems)
    notes = layer_notes(painter, soft)
    if hidden:
        notes.append(f"{counted(hidden, 'hidden layer')} read as well")
    return Reading(painter.class_map, notes)


def _whole(element: ElementTree.Element, key: str, path: Path) -> int:
    try:
        return int(element.get(key, "0"))
    except ValueError as error:
        raise InputError(f"{path}: stack.xml: expected whole numbers as {key}") from error


def _layers(
    element: ElementTree.Element, x: int, y: int, path: Path
) -> Iterator[tuple[ElementTree.Element, int, int]]:
    """Yields layers from the uppermost on, with their place; also those in groups."""
    for child in element:
        place = x + _whole(child, "x", path), y + _whole(child, "y", path)
        if child.tag == "stack":
            yield from _layers(child, *place, path)
        elif child.tag == "layer":
            yield child, *place
