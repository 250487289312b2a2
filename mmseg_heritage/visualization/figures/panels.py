"""Class maps, overlays and side-by-side panels, in the palette of the data set."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmseg_heritage.images.masks import value_counts
from mmseg_heritage.images.writing import Palette, color_table
from mmseg_heritage.taxonomy import IGNORE_INDEX

PANEL_EDGE = 640
"""Long edge in pixels of each picture in a panel; larger photographs are shrunk to it."""
_STRIP = 1 << 20  # pixels that are tinted at a time
_MARGIN = 8
_LINE = 18
_INK, _PAPER = (32, 32, 32), (255, 255, 255)


def overlay(
    image: np.ndarray, class_map: np.ndarray, palette: Palette, clean: int | None = 0
) -> np.ndarray:
    """Returns a photograph on which :func:`tint` was used, uint8 (H, W, 3), RGB."""
    result = image.copy()
    tint(result, class_map, palette, clean)
    return result


def tint(image: np.ndarray, class_map: np.ndarray, palette: Palette, clean: int | None = 0) -> None:
    """Tints the damaged pixels of a photograph and outlines them, without a copy of it.

    Args:
        image: uint8 (H, W, 3), RGB; changed.
        class_map: uint8 (H, W), class ids or 255.
        palette: One RGB color for each class.
        clean: Id that is left untouched, or None.
    """
    colors = color_table(palette)
    kernel = np.ones((3, 3), np.uint8)
    rows = max(_STRIP // class_map.shape[1], 1)
    for start in range(0, len(class_map), rows):
        strip = slice(start, start + rows)
        ids = class_map[strip]
        touched = ids != IGNORE_INDEX
        if clean is not None:
            touched &= ids != clean
        around = class_map[max(start - 1, 0) : start + rows + 1]  # an outline has two sides
        border = cv2.dilate(around, kernel) != cv2.erode(around, kernel)
        outlined = border[start - max(start - 1, 0) :][: len(ids)] & touched
        inside = touched & ~outlined
        tinted = colors[ids[inside]].astype(np.uint16) + image[strip][inside]
        image[strip][inside] = ((tinted + 1) // 2).astype(np.uint8)
        image[strip][outlined] = colors[ids[outlined]]


def shrink(array: np.ndarray, edge: int, nearest: bool = False) -> np.ndarray:
    """Resizes so that the long edge has at most ``edge`` pixels."""
    height, width = array.shape[:2]
    scale = edge / max(height, width)
    if scale >= 1:
        return array
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(
        array, size, interpolation=cv2.INTER_NEAREST_EXACT if nearest else cv2.INTER_AREA
    )


def _resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Brings a photograph to a size."""
    if image.shape[:2] == (height, width):
        return image
    smaller = image.shape[0] > height or image.shape[1] > width
    way = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=way)


def panel(
    image: np.ndarray,
    maps: Sequence[tuple[str, np.ndarray]],
    classes: Sequence[str],
    palette: Palette,
) -> np.ndarray:
    """Lays a photograph and class maps side by side, with titles and a legend of what occurs.

    Args:
        image: uint8 (h, w, 3), RGB; of the size of the maps, or a smaller or larger copy.
        maps: One or more pairs (title, uint8 (H, W) class ids or 255).
        classes: Class names.
        palette: One RGB color for each class.

    Returns:
        uint8 (H', W', 3), RGB.
    """
    table = color_table(palette)
    titles = ["Input"] + [title for title, _ in maps]
    small_maps = [shrink(class_map, PANEL_EDGE, nearest=True) for _, class_map in maps]
    height, width = small_maps[0].shape
    tiles = [_resized(image, width, height), *(table[small] for small in small_maps)]
    column = max(width, 160)  # narrow photographs still leave room for the titles
    # From the full maps: a class of a few pixels may be gone from the shrunken ones.
    present = np.flatnonzero(value_counts(*(class_map for _, class_map in maps))).tolist()
    entries = [(classes[i] if i < len(classes) else "Outside (ignored)", i) for i in present]

    per_row = max(1, (len(tiles) * (column + _MARGIN)) // 160)
    legend_rows = -(-len(entries) // per_row)
    canvas = Image.new(
        "RGB",
        (
            len(tiles) * (column + _MARGIN) + _MARGIN,
            height + 2 * _MARGIN + _LINE * (legend_rows + 1) + _MARGIN,
        ),
        _PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default()
    for i, (title, tile) in enumerate(zip(titles, tiles, strict=True)):
        left = _MARGIN + i * (column + _MARGIN)
        draw.text((left, _MARGIN // 2), title, fill=_INK, font=font)
        canvas.paste(Image.fromarray(np.ascontiguousarray(tile)), (left, _LINE + _MARGIN // 2))
    top = _LINE + height + 2 * _MARGIN
    for i, (name, class_id) in enumerate(entries):
        x, y = _MARGIN + 160 * (i % per_row), top + _LINE * (i // per_row)
        draw.rectangle((x, y, x + 12, y + 12), fill=tuple(table[class_id].tolist()), outline=_INK)
        draw.text((x + 18, y), name, fill=_INK, font=font)
    return np.asarray(canvas)
