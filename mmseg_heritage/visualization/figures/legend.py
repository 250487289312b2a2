"""The strip below a picture that says what its colors mean and how long things are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mmseg_heritage.taxonomy import Color

_INK, _PAPER = (32, 32, 32), (255, 255, 255)
_SMALLEST, _LARGEST = 11, 64  # of the letters, in pixels


@dataclass(frozen=True)
class Ruler:
    """How long things on a photograph are.

    Attributes:
        edge: Long edge of the photograph in pixels.
        mm_per_pixel: Millimeters of the object for each of its pixels; None if that is not known.
    """

    edge: int
    mm_per_pixel: float | None = None

    def bar(self, picture_edge: int, longest: float) -> tuple[int, str]:
        """Returns the length in pixels and the label of a scale bar.

        Args:
            picture_edge: Long edge in pixels of the copy of the photograph that the bar is for.
            longest: Of the bar, in pixels of the copy.

        Returns:
            A bar of 1, 2 or 5 times a power of ten millimeters or, where they are not known, of
            pixels of the photograph, of which it has at least one.
        """
        pixel = picture_edge / self.edge  # of the photograph, in pixels of the copy
        per_unit = pixel if self.mm_per_pixel is None else pixel / self.mm_per_pixel
        power = 10.0 ** math.floor(math.log10(longest / per_unit))
        number = max(n for n in (1, 2, 5) if n == 1 or n * power * per_unit <= longest) * power
        if self.mm_per_pixel is None:
            number = max(number, 1.0)
            label = f"{number:g} px"
        else:
            unit, size = ("cm", 10) if number >= 10 else ("mm", 1)
            if number >= 1000:
                unit, size = "m", 1000
            label = f"{number / size:g} {unit}"
        return max(round(number * per_unit), 1), label


def letter_size(width: int, height: int) -> int:
    """Returns the size of letters in pixels that suits a picture of a size in pixels."""
    return min(max(round(max(width, height) / 90), _SMALLEST), _LARGEST)


def legend_strip(
    width: int,
    entries: Sequence[tuple[str, Color]],
    letters: int,
    bar: tuple[int, str],
) -> np.ndarray:
    """Draws the names of classes beside their colors, and a scale bar.

    Args:
        width: Of the strip in pixels; what does not fit into one row goes on in the next.
        entries: Name and color of each class.
        letters: Size of the letters in pixels.
        bar: Length in pixels and label of the scale bar, of :meth:`Ruler.bar`.

    Returns:
        uint8 (h, width, 3), RGB.
    """
    font = ImageFont.load_default(letters)
    line, gap = round(1.6 * letters), round(0.7 * letters)
    items: list[tuple[str, Color | None, int]]
    items = [(name, color, letters) for name, color in entries] + [(bar[1], None, bar[0])]
    places, x, y = [], gap, gap // 2
    for text, _, drawn in items:
        length = round(drawn + gap / 2 + font.getlength(text))
        if x > gap and x + length + gap > width:
            x, y = gap, y + line
        places.append((x, y))
        x += length + 2 * gap
    strip = Image.new("RGB", (width, y + line + gap // 2), _PAPER)
    draw = ImageDraw.Draw(strip)
    for (text, color, drawn), (left, top) in zip(items, places, strict=True):
        middle = top + letters // 2 + 1
        if color is None:
            _draw_bar(draw, left, middle, drawn, max(letters // 5, 2))
        else:
            draw.rectangle((left, top + 1, left + letters, top + 1 + letters), color, _INK)
        draw.text((left + drawn + gap / 2, middle), text, _INK, font, anchor="lm")
    return np.asarray(strip)


def _draw_bar(draw: ImageDraw.ImageDraw, left: int, middle: int, length: int, thick: int) -> None:
    """Draws a bar with ends that stand up."""
    draw.rectangle((left, middle - thick // 2, left + length, middle + thick // 2), _INK)
    for x in (left, left + length):
        draw.line((x, middle - 2 * thick, x, middle + 2 * thick), _INK, max(thick // 2, 1))
