"""A transparent PNG for each class: layers for any image editor."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.damage_map import (
    DamageMap,
    Legend,
    Reading,
    check_stated_size,
    file_name_of,
)
from mmseg_heritage.exchange.shapes.filling import Painter
from mmseg_heritage.images.image_files import image_header, open_image, strips_of, write_turned
from mmseg_heritage.utils.files import making_folder
from mmseg_heritage.utils.text import counted

OPAQUE = 128
"""From this alpha on, 0 to 255, a pixel is painted."""


def layer_png(mask: np.ndarray, color: Iterable[int]) -> bytes:
    """Returns a PNG with a color where a mask (H, W) is True, and nothing elsewhere."""
    red, green, blue = color
    value = np.array([blue, green, red, 255], np.uint8).view(np.uint32)  # OpenCV's order
    pixels = (mask * value).view(np.uint8).reshape(*mask.shape, 4)
    done, content = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not done:
        raise InputError(f"{mask.shape[1]}x{mask.shape[0]} pixels cannot be written as PNG")
    return content.tobytes()


def write_layers(folder: Path, found: DamageMap) -> None:
    """Writes ``<id>_<class>.png`` for each class that the map has; the folder must be new."""
    with making_folder(folder) as made:
        for c in found.drawn:
            mask = found.class_map == c.id
            if mask.any():
                name = f"{c.id:03d}_{file_name_of(c.name)}.png"
                (made / name).write_bytes(layer_png(mask, c.color))


def read_layers(folder: Path, size: tuple[int, int], legend: Legend) -> Reading:
    """Reads the PNGs of a folder, each the layer of a class; later names lie on top.

    Args:
        folder: With files named by their class, or ``<number>_<class>.png``.
        size: (width, height) of the photograph.
        legend: What names mean.

    Raises:
        InputError: If a name is no class, or a file cannot be read or has another size.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    painter = Painter(size, legend.rest(None))
    others, soft = [], 0
    for path in files:
        number, _, rest = path.stem.partition("_")
        class_id = legend.find(rest if number.isdigit() and rest else path.stem, path.name)
        try:
            check_stated_size(path, image_header(path).size, size)
            alpha = read_alpha(path)
        except InputError as error:
            others.append(str(error))
            continue
        soft += num_soft(alpha)
        if class_id is not None:
            painter.paint_mask(alpha >= OPAQUE, class_id)
    if not files:
        others.append("the folder holds no .png")
    legend.check(folder, others)
    return Reading(painter.class_map, layer_notes(painter, soft))


def read_alpha(source: Path | bytes, label: str = "") -> NDArray[np.uint8]:
    """Returns the opacity of an image, 0 to 255 (H, W); 255 where it has none.

    Raises:
        ImageFault: If it cannot be read.
    """
    with open_image(source, label or str(source), "layer") as opened:
        width, height = opened.header.size
        alpha = np.empty((height, width), np.uint8)
        for rows, part in strips_of(opened):
            values = np.asarray(part.convert("RGBA"))[..., 3]
            write_turned(alpha, rows, values, opened.header.orientation)
    return alpha


def num_soft(alpha: np.ndarray) -> int:
    """Returns how many pixels are half transparent, as soft brushes leave them."""
    return int(np.count_nonzero((alpha > 0) & (alpha < 255)))


def layer_notes(painter: Painter, soft: int) -> list[str]:
    """Says what a person should know about layers that were read."""
    notes = []
    if soft:
        notes.append(
            f"{counted(soft, 'half transparent pixel')}: painted where half opaque or more"
        )
    return notes + overlap_notes(painter)


def overlap_notes(painter: Painter) -> list[str]:
    """Says how many pixels had two classes."""
    if not painter.painted_over:
        return []
    return [
        f"{counted(painter.painted_over, 'pixel')} in two classes: what was drawn later, on top, "
        "counts"
    ]
