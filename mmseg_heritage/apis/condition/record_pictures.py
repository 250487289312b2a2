"""The pictures of a condition record: a photograph, what was found on it, and regions of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mmseg_heritage.apis.condition.record_facts import region_facts
from mmseg_heritage.apis.reviews.predicted_photographs import Predicted
from mmseg_heritage.images.resizing import Box, shrunk_parts
from mmseg_heritage.taxonomy import CLEAN, IGNORE_INDEX, clean_id
from mmseg_heritage.visualization.condition.legend_file import Legend, Sign
from mmseg_heritage.visualization.condition.record_content import (
    Detail,
    RecordPicture,
    encoded,
)
from mmseg_heritage.visualization.condition.signs import draw_signs
from mmseg_heritage.visualization.figures.shown_maps import shown_map

EDGE = 1400
"""Long edge in pixels of the photograph in a record: 12 cm at 300 dpi."""
DETAIL_EDGE = 560
_AROUND = 0.3  # of a region's longer side that is shown around it
_LEAST = 96  # pixels of a photograph that a detail shows at least, across and down
_INK, _PAPER = (32, 32, 32), (255, 255, 255)


@dataclass(frozen=True)
class ChosenRegion:
    """A region that is shown enlarged.

    Attributes:
        region: A row of :func:`~mmseg_heritage.review.shown_regions.read_regions`.
        letter: What it is called.
        reason: Why it is shown, a phrase.
    """

    region: Mapping[str, Any]
    letter: str
    reason: str


@dataclass(frozen=True)
class RecordPictures:
    """What :func:`record_pictures` draws."""

    plain: RecordPicture
    found: RecordPicture
    details: Sequence[Detail]


def chosen_regions(rows: Sequence[Mapping[str, Any]], number: int) -> list[ChosenRegion]:
    """Chooses regions to be shown enlarged: those to look at first, then the largest.

    Args:
        rows: As :func:`~mmseg_heritage.review.shown_regions.read_regions` returns them.
        number: How many; half of them, rounded up, are those with the largest area that is likely
            wrong, where that is at least a pixel.
    """
    doubtful = [row for row in rows if row["confidence"] is not None and row["wrong"] >= 1]
    first = doubtful[: -(-number // 2)]
    by_area = sorted(rows, key=lambda row: (-row["pixels"], row["number"]))
    taken = {row["number"] for row in first}
    largest = [row for row in by_area if row["number"] not in taken][: number - len(first)]
    reasons = ["look here first"] * len(first) + ["among the largest"] * len(largest)
    return [
        ChosenRegion(row, chr(ord("A") + i), reason)
        for i, (row, reason) in enumerate(zip([*first, *largest], reasons, strict=True))
    ]


def record_pictures(
    one: Predicted,
    signs: Mapping[str, Sign],
    rows: Sequence[Mapping[str, Any]],
    chosen: Sequence[ChosenRegion],
    legend: Legend,
) -> RecordPictures:
    """Draws the pictures of a photograph.

    Args:
        one: The photograph with its prediction.
        signs: Name of each class of the prediction -> how it is shown.
        rows: All regions, for symbols.
        chosen: Those that are shown enlarged.
        legend: For the words.

    Raises:
        InputError: If photograph or map are missing, damaged or not those that were predicted.
    """
    width, height = one.size
    boxes: list[Box] = [(0, 0, width, height)]
    boxes += [_around(region.region["box"], one.size) for region in chosen]
    edges = [EDGE] + [DETAIL_EDGE] * len(chosen)
    parts = shrunk_parts(one.bands(), boxes, edges)
    drawer = _Drawer(one, signs, rows)
    name, word = one.name, legend.text("What was found")
    plain = encoded(parts[0], name)
    overview = drawer.draw(parts[0], boxes[0])
    scale = overview.shape[1] / width
    for region in chosen:
        _letter(overview, region.letter, region.region["box"], scale)
    details = []
    for region, box, part in zip(chosen, boxes[1:], parts[1:], strict=True):
        sign = signs[region.region["class"]]
        alt = f"{region.letter}: {sign.name}"
        found = encoded(drawer.draw(part, box), f"{alt}, {word}")
        title = f"{sign.name} ({legend.text(region.reason)})"
        facts = region_facts(region.region, one.record, legend)
        details.append(Detail(region.letter, title, facts, encoded(part, alt), found))
    return RecordPictures(plain, encoded(overview, f"{name}, {word}"), details)


class _Drawer:
    """Draws what was found on parts of a photograph.

    Raises:
        InputError: If the map is missing or damaged.
    """

    def __init__(
        self, one: Predicted, signs: Mapping[str, Sign], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        names = list(one.ids)
        self._signs = [signs[name] for name in names]
        self._clean, self._clean_value = clean_id(names), one.ids.get(CLEAN)
        self._map = one.read_map()
        # What is no damage, such as a class Background, is not drawn.
        measured = one.record["quantities"]
        drawn = [i for i, n in enumerate(names) if measured[n]["is_damage"] or i == self._clean]
        self._positions = np.full(256, IGNORE_INDEX, np.uint8)
        self._positions[[one.ids[names[i]] for i in drawn]] = drawn
        self._boxes: dict[int, list[Box]] = {}
        place = {name: i for i, name in enumerate(names)}
        for row in sorted(rows, key=lambda row: -row["pixels"]):
            self._boxes.setdefault(place[row["class"]], []).append(row["box"])

    def draw(self, part: np.ndarray, box: Box) -> np.ndarray:
        """Returns a copy of a part of the photograph with what was found in its box."""
        left, top, width, height = box
        image, scale = part.copy(), part.shape[1] / width
        values = self._map[top : top + height, left : left + width]
        small = self._positions[shown_map(values, max(part.shape[:2]), self._clean_value)]
        inside = {
            i: [
                tuple(scale * v for v in (x - left, y - top, w, h))
                for x, y, w, h in boxes
                if left <= x + w // 2 < left + width and top <= y + h // 2 < top + height
            ]
            for i, boxes in self._boxes.items()
            if self._signs[i].symbol
        }
        draw_signs(image, small, self._signs, self._clean, inside)
        return image


def _around(box: Box, size: tuple[int, int]) -> Box:
    """Returns a box with what is around it, within the photograph."""
    more = round(_AROUND * max(box[2:]))
    sides = []
    for start, length, limit in zip(box[:2], box[2:], size, strict=True):
        wanted = min(max(length + 2 * more, _LEAST), limit)
        first = min(max(start + (length - wanted) // 2, 0), limit - wanted)
        sides.append((first, wanted))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def _letter(image: np.ndarray, letter: str, box: Box, scale: float) -> None:
    """Draws the frame of a region with its letter."""
    left, top, width, height = (round(scale * value) for value in box)
    size = max(image.shape[:2]) / 900
    corners = (left - 3, top - 3), (left + width + 3, top + height + 3)
    thick = max(round(size), 1)
    cv2.rectangle(image, *corners, _PAPER, 3 * thick)
    cv2.rectangle(image, *corners, _INK, thick)
    font = cv2.FONT_HERSHEY_SIMPLEX
    (across, up), _ = cv2.getTextSize(letter, font, 0.7 * size, 2 * thick)
    x = min(max(left, 0), max(image.shape[1] - across - 10, 0))
    y = min(max(top - 6, up + 8), image.shape[0] - 6)
    cv2.rectangle(image, (x, y - up - 6), (x + across + 8, y + 4), _PAPER, -1)
    cv2.rectangle(image, (x, y - up - 6), (x + across + 8, y + 4), _INK, thick)
    cv2.putText(image, letter, (x + 4, y), font, 0.7 * size, _INK, 2 * thick, cv2.LINE_AA)
