"""Hatches and symbols over a photograph, and the small picture of them in the legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.taxonomy import IGNORE_INDEX, Color
from mmseg_heritage.visualization.condition.legend_file import Sign
from mmseg_heritage.visualization.figures.panels import tint

SWATCH = (72, 40)
"""Width and height in pixels of the picture of a class in the legend: twice what is shown."""
_WHITE = (255, 255, 255)
_MOST_SYMBOLS = 30  # of a class: more would cover the photograph


def draw_signs(
    image: np.ndarray,
    class_map: np.ndarray,
    signs: Sequence[Sign],
    clean: int | None,
    boxes: Mapping[int, Iterable[tuple[float, float, float, float]]],
) -> None:
    """Tints and hatches the damage on a picture, and puts symbols on its largest regions.

    Args:
        image: uint8 (h, w, 3), RGB; changed.
        class_map: Position of the sign of each pixel, or 255, uint8 (h, w).
        signs: One for each class; that of ``clean`` is not drawn.
        clean: Position that is no damage, or None.
        boxes: Position of a class -> left, top, width, height of its regions in the picture, the
            largest first.
    """
    tint(image, class_map, [sign.color for sign in signs], clean)
    size = max(round(max(image.shape[:2]) / 70), 7)
    for position, sign in enumerate(signs):
        if position != clean and sign.hatch:
            lines = hatched(class_map.shape, sign.hatch, size)
            image[lines & (class_map == position)] = sign.color
    for position, sign in enumerate(signs):
        if position == clean or not sign.symbol:
            continue
        mask = class_map == position
        for _, box in zip(range(_MOST_SYMBOLS), boxes.get(position, ()), strict=False):
            if (place := _place(mask, box)) is not None:
                draw_symbol(image, sign.symbol, place, size, sign.color)


def hatched(shape: tuple[int, ...], hatch: str, spacing: int) -> NDArray[np.bool_]:
    """Returns where the lines of a hatch are, bool (h, w).

    Args:
        shape: Height and width.
        hatch: One of :data:`~mmseg_heritage.visualization.condition.legend_file.HATCHES`.
        spacing: From line to line, in pixels.
    """
    y, x = np.ogrid[: shape[0], : shape[1]]
    thick = max(spacing // 5, 1)
    rising, falling = (x + y) % spacing < thick, (x - y) % spacing < thick
    across, down = y % spacing < thick, x % spacing < thick
    lines = {
        "diagonal": rising,
        "back-diagonal": falling,
        "horizontal": across | np.zeros_like(down),
        "vertical": down | np.zeros_like(across),
        "crossed": rising | falling,
        "grid": across | down,
        "dots": (y % spacing < 2 * thick) & (x % spacing < 2 * thick),
    }
    return lines[hatch]


def _place(
    mask: NDArray[np.bool_], box: tuple[float, float, float, float]
) -> tuple[int, int] | None:
    """Returns the pixel (x, y) of a class in a box that is nearest to the middle of the box."""
    left, top, width, height = box
    rows = slice(int(top), int(top + height) + 1)
    columns = slice(int(left), int(left + width) + 1)
    y, x = np.nonzero(mask[rows, columns])
    if not len(y):
        return None
    nearest = np.argmin((y - height / 2) ** 2 + (x - width / 2) ** 2)
    return int(x[nearest]) + columns.start, int(y[nearest]) + rows.start


def draw_symbol(
    image: np.ndarray, symbol: str, place: tuple[int, int], size: int, color: Color
) -> None:
    """Draws a symbol with a white edge.

    Args:
        image: uint8 (h, w, 3); changed.
        symbol: One of :data:`~mmseg_heritage.visualization.condition.legend_file.SYMBOLS`.
        place: Its middle, (x, y).
        size: Its width in pixels.
        color: Of the symbol.
    """
    x, y = place
    half = max(size // 2, 3)
    edge = max(half // 3, 1)
    if symbol == "circle":
        cv2.circle(image, place, half + edge, _WHITE, -1, cv2.LINE_AA)
        cv2.circle(image, place, half, color, -1, cv2.LINE_AA)
        return
    if symbol in ("plus", "cross"):
        d = half if symbol == "plus" else round(half * 0.75)
        ends = [((-d, 0), (d, 0)), ((0, -d), (0, d))]
        if symbol == "cross":
            ends = [((-d, -d), (d, d)), ((-d, d), (d, -d))]
        for line_color, width in ((_WHITE, 3 * edge + 2), (color, edge + 1)):
            for (x0, y0), (x1, y1) in ends:
                first, last = (x + x0, y + y0), (x + x1, y + y1)
                cv2.line(image, first, last, line_color, width, cv2.LINE_AA)
        return
    corners = {
        "square": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
        "triangle": [(0, -1), (1, 1), (-1, 1)],
        "diamond": [(0, -1), (1, 0), (0, 1), (-1, 0)],
    }[symbol]
    for polygon_color, reach in ((_WHITE, half + edge), (color, half)):
        points = np.array([(x + reach * a, y + reach * b) for a, b in corners], np.int32)
        cv2.fillPoly(image, [points], polygon_color, cv2.LINE_AA)


def swatch(sign: Sign) -> np.ndarray:
    """Returns the picture of a class for the legend, uint8 (:data:`SWATCH`, 3)."""
    width, height = SWATCH
    image = np.full((height, width, 3), 235, np.uint8)
    class_map = np.full((height, width), IGNORE_INDEX, np.uint8)
    class_map[3:-3, 3:-3] = 0
    tint(image, class_map, [sign.color], None)
    if sign.hatch:
        image[hatched(class_map.shape, sign.hatch, 12) & (class_map == 0)] = sign.color
    if sign.symbol:
        draw_symbol(image, sign.symbol, (width // 2, height // 2), 20, sign.color)
    return image
