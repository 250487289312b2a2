"""Connected pixels of one class, and their exact borders along the edges of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.exchange.shapes.filling import fill

MAX_REGIONS = 1_000_000
_RIGHT, _DOWN, _LEFT, _UP = range(4)


@dataclass(frozen=True)
class Region:
    """Connected pixels of one class.

    Attributes:
        class_id: Their value in the map.
        area: Number of pixels.
        rings: Exact border and holes, int32 (N, 2) each, see
            :mod:`mmseg_heritage.exchange.shapes.polygons`.
    """

    class_id: int
    area: int
    rings: tuple[NDArray[np.int32], ...]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the smallest box around it."""
        (left, top), (right, bottom) = self.rings[0].min(axis=0), self.rings[0].max(axis=0)
        return int(left), int(top), int(right), int(bottom)

    def mask(self) -> NDArray[np.bool_]:
        """Returns which pixels of :attr:`box` are its own."""
        left, top, right, bottom = self.box
        return fill([ring - (left, top) for ring in self.rings], (bottom - top, right - left))


def find_regions(
    class_map: np.ndarray, class_ids: Sequence[int], min_area: int = 1
) -> list[Region]:
    """Finds the regions of some classes.

    Memory: 6 bytes for each pixel of the map, and some 200 for each corner of a border.

    Args:
        class_map: uint8 (H, W).
        class_ids: Values that are looked for.
        min_area: Smaller regions, in pixels, are left out.

    Returns:
        The regions by class as given, then from top to bottom.

    Raises:
        InputError: If there are more than a million.
    """
    regions: list[Region] = []
    for class_id in class_ids:
        mask = (class_map == class_id).view(np.uint8)
        if mask.any():
            regions += _regions_of_class(mask, class_id, min_area, MAX_REGIONS - len(regions))
    return regions


def _regions_of_class(mask: np.ndarray, class_id: int, min_area: int, most: int) -> list[Region]:
    count, labels = cv2.connectedComponents(mask, connectivity=4)
    shells: dict[int, list[tuple[float, NDArray[np.int32]]]] = {}
    if count - 1 > most and min_area == 1:
        raise _too_many()
    for ring in _trace(mask):
        # The pixel to the right of the first edge, which runs right along the top of it, or left
        # along the bottom.
        (x, y), (after, _) = ring[0].tolist(), ring[1].tolist()
        label = labels[y, x] if after > x else labels[y - 1, x - 1]
        shells.setdefault(int(label), []).append((_signed_area(ring), ring))
    regions = []
    for _, rings in sorted(shells.items()):
        rings.sort(key=lambda pair: -pair[0])  # the border, then the holes, which are negative
        area = round(sum(part for part, _ in rings))
        if area >= min_area:
            regions.append(Region(class_id, area, tuple(ring for _, ring in rings)))
    if len(regions) > most:
        raise _too_many()
    return regions


def _too_many() -> InputError:
    return InputError(
        f"found more than {MAX_REGIONS:,} regions, more than any program can edit; leave out small "
        "ones with --min-area"
    )


def _signed_area(ring: np.ndarray) -> float:
    # Level edges alone: between them x does not change.
    x, y = ring[:, 0].astype(np.float64), ring[:, 1].astype(np.float64)
    return float(np.dot(x[0::2] - x[1::2], y[0::2]))


def _trace(mask: np.ndarray) -> list[NDArray[np.int32]]:
    """Returns the rings of all regions of a mask: corners only, beginning with a level edge."""
    start, direction, end = _straight_edges(mask)
    if not len(start):
        return []
    # Two edges begin where two regions, or two parts of one, meet at a corner. The one that turns
    # right stays at the same pixel, so that what touches at corners only is kept apart.
    order = np.lexsort((direction, start))
    first = np.searchsorted(start[order], end)
    wanted = (direction + 1) % 4
    second = np.minimum(first + 1, len(order) - 1)
    has_two = start[order[second]] == end
    takes_second = has_two & (second > first) & (direction[order[first]] != wanted)
    following = order[np.where(takes_second, second, first)].tolist()
    width = mask.shape[1] + 1
    corners, is_level = start.tolist(), (direction % 2 == 0).tolist()
    seen = bytearray(len(corners))
    rings = []
    for edge in range(len(corners)):
        if seen[edge] or not is_level[edge]:
            continue
        path = []
        while not seen[edge]:
            seen[edge] = 1
            path.append(corners[edge])
            edge = following[edge]
        rings += [_as_points(ring, width) for ring in _without_meetings(path)]
    return rings


def _as_points(corners: list[int], width: int) -> NDArray[np.int32]:
    y, x = np.divmod(np.array(corners, np.int64), width)
    points = np.stack([x, y], axis=1).astype(np.int32)
    return points if points[0, 1] == points[1, 1] else np.roll(points, -1, axis=0)


def _without_meetings(path: list[int]) -> list[list[int]]:
    """Divides a ring where it comes to the same corner twice."""
    if len(set(path)) == len(path):
        return [path]
    rings, stack, places = [], list[int](), dict[int, int]()
    for corner in path:
        if corner in places:
            place = places[corner]
            rings.append(stack[place:])
            for left in stack[place:]:
                del places[left]
            del stack[place:]
        places[corner] = len(stack)
        stack.append(corner)
    return [*rings, stack]


def _straight_edges(
    mask: np.ndarray,
) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
    """Returns the straight parts of all borders, the region on their right: start, way and end.

    Corners are numbered row by row, W + 1 in each. A part ends where the border turns, and where
    two borders meet at a corner.
    """
    row = mask.shape[1] + 1
    parts = []
    # Of a region below, the border runs right; of one to the right, it runs up.
    for lines, of_line, of_place, forward, backward in (
        (mask, row, 1, _RIGHT, _LEFT),
        (cv2.transpose(mask), 1, row, _UP, _DOWN),
    ):
        line, place, begins = _changes(lines)
        if not len(line):
            continue
        joined = np.diff(line) == 0
        joined &= (np.diff(place) == 1) & (begins[1:] == begins[:-1])
        first = np.concatenate([[0], np.flatnonzero(~joined) + 1])
        last = np.concatenate([first[1:], [len(line)]]) - 1
        direction = np.where(begins[first], forward, backward).astype(np.int8)
        low = line[first] * of_line + place[first] * of_place
        high = line[first] * of_line + (place[last] + 1) * of_place
        is_onward = (direction == _RIGHT) | (direction == _DOWN)
        parts.append((np.where(is_onward, low, high), direction, np.where(is_onward, high, low)))
    if not parts:
        return np.zeros(0, np.int64), np.zeros(0, np.int8), np.zeros(0, np.int64)
    start, direction, end = (np.concatenate(column) for column in zip(*parts, strict=True))
    return start, direction, end


def _changes(
    lines: np.ndarray,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Returns where lines differ from the one before.

    The lines before the first and behind the last are empty.

    Returns:
        Number of the line, place in it, and whether a region begins there.
    """
    top, bottom = np.flatnonzero(lines[0]), np.flatnonzero(lines[-1])
    # Flat, which takes numpy a third of the time.
    flat = np.flatnonzero(lines[1:] != lines[:-1])
    line, place = np.divmod(flat, lines.shape[1])
    begins = lines.ravel()[flat + lines.shape[1]] != 0
    return (
        np.concatenate([np.zeros_like(top), line + 1, np.full_like(bottom, len(lines))]),
        np.concatenate([top, place, bottom]),
        np.concatenate([np.ones(len(top), bool), begins, np.zeros(len(bottom), bool)]),
    )
