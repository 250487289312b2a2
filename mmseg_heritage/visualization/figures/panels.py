"""Class maps, overlays and side-by-side panels, with a legend and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mmseg_heritage.images.masks import value_counts
from mmseg_heritage.images.writing import Palette, color_table
from mmseg_heritage.taxonomy import (
    IGNORE_INDEX,
    UNDECIDED,
    UNDECIDED_NAME,
    Color,
    clean_id,
)
from mmseg_heritage.visualization.figures.legend import Ruler, legend_strip, letter_size
from mmseg_heritage.visualization.figures.shown_maps import fitted_shape, shown_map

PANEL_EDGE = 1000
"""Long edge in pixels of each picture in a panel; larger photographs are shrunk to it."""
_STRIP = 1 << 20  # pixels that are tinted at a time
_MARGIN = 8
_NARROWEST = 160  # narrow photographs still leave room for titles and legend
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

    The outline has the color of the class; beside it, on what is no damage, runs an edge of white,
    which shows on photographs as dark or as gray as the color.

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
        around = class_map[max(start - 1, 0) : start + rows + 1]  # an outline has two sides
        own = slice(start - max(start - 1, 0), None)
        damaged = around != IGNORE_INDEX
        if clean is not None:
            damaged &= around != clean
        border = cv2.dilate(around, kernel) != cv2.erode(around, kernel)
        near = cv2.dilate(damaged.view(np.uint8), kernel).view(bool)
        touched, border, near = (mask[own][: len(ids)] for mask in (damaged, border, near))
        outlined, inside = border & touched, touched & ~border
        image[strip][near & ~touched] = _PAPER
        tinted = colors[ids[inside]].astype(np.uint16) + image[strip][inside]
        image[strip][inside] = ((tinted + 1) // 2).astype(np.uint8)
        image[strip][outlined] = colors[ids[outlined]]


def shrink(image: np.ndarray, edge: int) -> np.ndarray:
    """Resizes a photograph so that the long edge has at most ``edge`` pixels."""
    height, width = fitted_shape(image.shape, edge)
    return _resized(image, width, height)


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
    edge: int = PANEL_EDGE,
    ruler: Ruler | None = None,
) -> np.ndarray:
    """Lays a photograph and class maps side by side, with titles and a legend of what occurs.

    Args:
        image: uint8 (h, w, 3), RGB; of the size of the maps, or a smaller or larger copy.
        maps: One or more pairs (title, uint8 (H, W) class ids or 255), which are drawn by
            :func:`~mmseg_heritage.visualization.figures.shown_maps.shown_map`.
        classes: Class names.
        palette: One RGB color for each class.
        edge: Long edge of each picture in pixels.
        ruler: For the scale bar; None takes the pixels of the maps for those of the photograph.

    Returns:
        uint8 (H', W', 3), RGB.
    """
    clean = clean_id(classes)
    table = color_table(palette)
    titles = ["Input"] + [title for title, _ in maps]
    # Of the full maps: a class of a few pixels may be hidden in the shrunken ones.
    counts = [value_counts(class_map) for _, class_map in maps]
    small_maps = [
        shown_map(class_map, edge, clean, counted)
        for (_, class_map), counted in zip(maps, counts, strict=True)
    ]
    height, width = small_maps[0].shape
    tiles = [_resized(image, width, height), *(table[small] for small in small_maps)]
    column = max(width, _NARROWEST)
    letters = letter_size(width, height)
    line = round(1.6 * letters)
    ruler = ruler or Ruler(max(maps[0][1].shape))
    legend = legend_strip(
        len(tiles) * (column + _MARGIN) + _MARGIN,
        legend_entries(np.sum(counts, axis=0), classes, palette),
        letters,
        ruler.bar(max(height, width), column / 3),
    )
    canvas = Image.new("RGB", (legend.shape[1], line + height + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for i, (title, tile) in enumerate(zip(titles, tiles, strict=True)):
        left = _MARGIN + i * (column + _MARGIN)
        draw.text((left, line // 2), title, _INK, ImageFont.load_default(letters), anchor="lm")
        canvas.paste(Image.fromarray(np.ascontiguousarray(tile)), (left, line))
    return np.concatenate([np.asarray(canvas), legend])


def legend_entries(
    counts: NDArray[np.int64], classes: Sequence[str], palette: Palette
) -> list[tuple[str, Color]]:
    """Returns name and color of the classes that occur, in their order, and of the outside.

    Args:
        counts: Pixels of each id, int64 (256,), as :func:`value_counts` gives them.
        classes: Class names.
        palette: One RGB color for each class.
    """
    table = color_table(palette).tolist()
    names = [*classes, *["Outside (ignored)"] * (256 - len(classes))]
    if len(classes) <= UNDECIDED:
        names[UNDECIDED] = UNDECIDED_NAME
    present = np.flatnonzero(counts).tolist()
    return [(names[i], (table[i][0], table[i][1], table[i][2])) for i in present]


def with_legend(
    picture: np.ndarray, entries: Sequence[tuple[str, Color]], ruler: Ruler
) -> np.ndarray:
    """Returns a picture of a photograph, uint8 (h, w, 3), with a legend and a scale bar below."""
    height, width = picture.shape[:2]
    if width < _NARROWEST:
        picture = np.pad(
            picture, ((0, 0), (0, _NARROWEST - width), (0, 0)), constant_values=_PAPER[0]
        )
    letters = letter_size(width, height)
    bar = ruler.bar(max(height, width), picture.shape[1] / 4)
    strip = legend_strip(picture.shape[1], entries, letters, bar)
    return np.concatenate([picture, strip])
