"""Regions of a class map as polygons, for all formats: exact, or simplified within an error.

Coordinates are those of pixel corners: (0, 0) is the top left corner of the top left pixel, x runs
right, y down, and the center of that pixel is at (0.5, 0.5). A map of W x H pixels reaches from
(0, 0) to (W, H).

A region is a set of pixels of one class that touch along edges (4-connected). Its first ring is the
border outside, the others are holes. On the screen the border runs clockwise and holes run
counterclockwise, which by the numbers is a positive and a negative area, as RFC 7946 (GeoJSON)
asks for. No ring meets itself, and rings of a region touch each other at single corners at most.

Simplified, the border between two regions is cut into arcs at the corners where three regions, or
two borders, meet. An arc is simplified once, by the method of Douglas and Peucker (1973), for both
sides, so that neighbors keep one border. No corner of the exact border is farther than the error
from the simplified one.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mmseg_heritage.exchange.shapes.tracing import Region, find_regions

Ring = NDArray[np.float64]
"""Corners of a ring, (N, 2) as x, y; the first is not repeated at the end."""

_HALVINGS = 5  # of an error that makes a polygon cross itself; then its borders stay exact
_DOUBLINGS = 4  # of the error of a polygon with too many corners
_FAR = 1 << 32  # more than any coordinate
_BAND = 1 << 24  # pixels of the map that are looked at at a time


@dataclass(frozen=True)
class Outline:
    """A region as a valid polygon.

    Attributes:
        number: Of the region in its map, from 1.
        region: Its pixels.
        rings: Border and holes.
        error: Pixels that its exact border is at most away from these; 0 where they are exact.
    """

    number: int
    region: Region
    rings: tuple[Ring, ...]
    error: float


def find_outlines(
    class_map: np.ndarray,
    class_ids: Sequence[int],
    error: float = 1.0,
    max_corners: int = 500,
    min_area: int = 1,
) -> list[Outline]:
    """Returns the regions of some classes as polygons.

    Args:
        class_map: uint8 (H, W).
        class_ids: Values that are looked for.
        error: Pixels that borders may move; 0 leaves them exact.
        max_corners: Of a polygon with more, the error is doubled, up to 16 times as much;
            :attr:`Outline.error` says where. Not for an error of 0.
        min_area: Smaller regions, in pixels, are left out.

    Raises:
        InputError: As :func:`mmseg_heritage.exchange.shapes.tracing.find_regions`.
    """
    regions = find_regions(class_map, class_ids, min_area)
    if error <= 0 or not regions:
        exact = [tuple(ring.astype(np.float64) for ring in region.rings) for region in regions]
        errors = [0.0] * len(regions)
    else:
        arcs = _Arcs(regions, class_map, error)
        arcs.reduce_corners(max_corners)
        arcs.make_valid()
        exact, errors = arcs.polygons(), arcs.errors().tolist()
    return [
        Outline(number, region, rings, float(most))
        for number, (region, rings, most) in enumerate(
            zip(regions, exact, errors, strict=True), start=1
        )
    ]


class _Arcs:
    """The borders of regions, cut into arcs that neighbors have in common.

    Args:
        regions: Whose borders they are.
        class_map: Of these.
        error: Of all arcs at first.
    """

    def __init__(self, regions: Sequence[Region], class_map: np.ndarray, error: float) -> None:
        rings = [ring for region in regions for ring in region.rings]
        self._region_of_ring = np.repeat(
            np.arange(len(regions)), [len(region.rings) for region in regions]
        )
        self._is_hole = np.concatenate([[False], np.diff(self._region_of_ring) == 0])
        self._num_regions = len(regions)
        width = class_map.shape[1] + 1
        nodes = _nodes(class_map)
        points, ring_of_point = _with_nodes(rings, nodes, width)
        is_cut = np.isin(points, nodes)
        points, is_cut, ring_of_point = _begun_at_cuts(points, is_cut, ring_of_point)
        self._cut(points, is_cut, ring_of_point, width)
        self._tolerance = np.full(len(self._lines), float(error))
        self._simplify()

    def _cut(
        self, points: np.ndarray, is_cut: np.ndarray, ring_of_point: np.ndarray, width: int
    ) -> None:
        """Makes lines of the different arcs, and notes which of them each ring goes along."""
        begin = np.flatnonzero(is_cut)
        ring = ring_of_point[begin]
        first_of_ring = np.searchsorted(ring_of_point, np.arange(self._region_of_ring.size))
        is_last = np.concatenate([ring[1:] != ring[:-1], [True]])
        # An arc ends at the next cut; the last of a ring ends where the ring began.
        stop = np.concatenate([begin[1:], [len(points)]])
        end = np.where(is_last, first_of_ring[ring], stop % len(points))
        length = stop - begin + 1
        place = _ranges(begin, length)
        place[np.cumsum(length) - 1] = end
        corners = points[place]
        offset = np.cumsum(length) - length
        first, second = corners[offset], corners[offset + 1]
        last, before = corners[offset + length - 1], corners[offset + length - 2]
        # Both sides go along an arc in opposite ways; it has one name, its first two corners.
        self._is_back = (last < first) | ((last == first) & (before < second))
        head = np.where(self._is_back, last, first)
        neighbor = np.where(self._is_back, before, second)
        step = neighbor - head
        way = np.where(np.abs(step) < width, 0, 2) + (step > 0)
        _, chosen, self._arc = np.unique(4 * head + way, return_index=True, return_inverse=True)
        self._ring_of_part = ring
        start = np.where(self._is_back, offset + length - 1, offset)[chosen]
        step_of = np.where(self._is_back, -1, 1)[chosen]
        y, x = np.divmod(corners[_ranges(start, length[chosen], step_of)], width)
        self._lines = shapely.linestrings(
            np.stack([x, y], axis=1).astype(np.float64),
            indices=np.repeat(np.arange(len(chosen)), length[chosen]),
        )

    def _simplify(self) -> None:
        """Simplifies all arcs by their error, and puts the rings together."""
        simple = shapely.simplify(self._lines, self._tolerance, preserve_topology=False)
        is_exact = self._tolerance == 0
        simple[is_exact] = self._lines[is_exact]
        coordinates, arc = shapely.get_coordinates(simple, return_index=True)
        count = np.bincount(arc, minlength=len(simple))
        offset = np.cumsum(count) - count
        length = count[self._arc] - 1  # the last corner is the first of the next arc
        start = np.where(self._is_back, offset[self._arc] + length, offset[self._arc])
        place = _ranges(start, length, np.where(self._is_back, -1, 1))
        self._coordinates = coordinates[place]
        self._ring_of_corner = np.repeat(self._ring_of_part, length)
        self._region_of_corner = self._region_of_ring[self._ring_of_corner]

    def errors(self) -> NDArray[np.float64]:
        """Returns the largest error of the arcs of each region."""
        errors = np.zeros(self._num_regions)
        np.maximum.at(errors, self._region_of_ring[self._ring_of_part], self._tolerance[self._arc])
        return errors

    def polygons(self) -> list[tuple[Ring, ...]]:
        """Returns the rings of each region."""
        rings = np.split(self._coordinates, np.flatnonzero(np.diff(self._ring_of_corner)) + 1)
        found: list[list[Ring]] = [[] for _ in range(self._num_regions)]
        for ring, region in zip(rings, self._region_of_ring.tolist(), strict=True):
            found[region].append(ring)
        return [tuple(rings) for rings in found]

    def _arcs_of(self, regions: NDArray[np.bool_]) -> NDArray[np.bool_]:
        chosen = np.zeros(len(self._lines), bool)
        chosen[self._arc[regions[self._region_of_ring[self._ring_of_part]]]] = True
        return chosen

    def reduce_corners(self, most: int) -> None:
        """Doubles the error of the arcs of regions that have more corners."""
        for _ in range(_DOUBLINGS):
            count = np.bincount(self._region_of_corner, minlength=self._num_regions)
            if not (count > most).any():
                return
            self._tolerance[self._arcs_of(count > most)] *= 2
            self._simplify()

    def make_valid(self) -> None:
        """Halves the error of the arcs of regions that are no valid polygons, at last to 0."""
        for number in itertools.count():
            changed = self._arcs_of(~self._is_valid()) & (self._tolerance > 0)
            if not changed.any():  # exact borders are valid
                return
            self._tolerance[changed] *= 0.5 if number < _HALVINGS else 0
            self._simplify()

    def _is_valid(self) -> NDArray[np.bool_]:
        """Returns which regions are valid polygons whose rings run the right way round."""
        count = np.bincount(self._ring_of_corner, minlength=len(self._is_hole))
        is_ring = count > 2
        valid = np.ones(self._num_regions, bool)
        valid[self._region_of_ring[~is_ring]] = False
        kept = is_ring[self._ring_of_corner] & valid[self._region_of_corner]
        indices, ring = np.unique(self._ring_of_corner[kept], return_inverse=True)
        rings = shapely.linearrings(self._coordinates[kept], indices=ring)
        ways = shapely.is_ccw(rings) == ~self._is_hole[indices]
        regions, region = np.unique(self._region_of_ring[indices], return_inverse=True)
        valid[regions] = shapely.is_valid(shapely.polygons(rings, indices=region))
        valid[self._region_of_ring[indices[~ways]]] = False
        return valid


def _ranges(start: np.ndarray, length: np.ndarray, step: np.ndarray | int = 1) -> NDArray[np.int64]:
    """Returns start, start + step, ... of each length, one after the other."""
    offset = np.repeat(np.cumsum(length) - length, length)
    steps = np.repeat(np.broadcast_to(step, length.shape), length)
    return np.repeat(start, length) + (np.arange(len(offset)) - offset) * steps


def _nodes(class_map: np.ndarray) -> NDArray[np.int64]:
    """Returns the corners at which three or four edges between different pixels meet, sorted.

    Corners are numbered row by row, W + 1 in each. What is beside the map differs from all of it.
    """
    height, width = class_map.shape
    top, bottom = (np.flatnonzero(row[1:] != row[:-1]) + 1 for row in class_map[[0, -1]])
    found = [top, bottom + height * (width + 1)]
    band = max(1, _BAND // width)
    for row in range(0, height - 1, band):
        rows = class_map[row : row + band + 1]
        across = (rows[:, 1:] != rows[:, :-1]).view(np.uint8)
        down = (rows[1:] != rows[:-1]).view(np.uint8)
        edges = across[1:] + across[:-1] + down[:, 1:] + down[:, :-1]
        y, x = np.nonzero(edges > 2)
        left, right = np.flatnonzero(down[:, 0]), np.flatnonzero(down[:, -1])
        first = (row + 1) * (width + 1)
        found.append(first + y * (width + 1) + x + 1)
        found += [first + left * (width + 1), first + right * (width + 1) + width]
    return np.unique(np.concatenate(found))


def _with_nodes(
    rings: Sequence[np.ndarray], nodes: np.ndarray, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the corners of all rings, with the nodes on their straight parts, and their ring."""
    sizes = np.array([len(ring) for ring in rings])
    ring_of = np.repeat(np.arange(len(rings)), sizes)
    corners = np.concatenate(rings).astype(np.int64)
    following = np.arange(1, len(corners) + 1)
    ends = np.cumsum(sizes)
    following[ends - 1] = ends - sizes
    after = corners[following]
    place, node, along = [], [], []
    where = np.stack([nodes % width, nodes // width])
    for axis in (0, 1):  # along which edges run: x, y
        key = where[1 - axis] * _FAR + where[axis]
        order = np.argsort(key)
        edges = np.flatnonzero(corners[:, axis] != after[:, axis])
        line = corners[edges, 1 - axis] * _FAR
        low = np.minimum(corners[edges, axis], after[edges, axis])
        high = np.maximum(corners[edges, axis], after[edges, axis])
        first = np.searchsorted(key[order], line + low, side="right")
        stop = np.searchsorted(key[order], line + high, side="left")
        number = np.maximum(stop - first, 0)
        found = nodes[order[_ranges(first, number)]]
        edge = np.repeat(edges, number)
        place.append(edge)
        node.append(found)
        along.append(np.abs(where[axis][order][_ranges(first, number)] - corners[edge, axis]))
    own = np.arange(len(corners))
    places = np.concatenate([own, *place])
    values = np.concatenate([corners[:, 1] * width + corners[:, 0], *node])
    order = np.lexsort((np.concatenate([np.zeros_like(own), *along]), places))
    return values[order], ring_of[places[order]]


def _begun_at_cuts(
    points: np.ndarray, is_cut: np.ndarray, ring_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns rings so that each begins at a cut.

    One without is cut at its lowest corner by number, which is the same for the region inside and
    the one around it.
    """
    number = int(ring_of[-1]) + 1
    size = np.bincount(ring_of, minlength=number)
    offset = np.cumsum(size) - size
    without = np.bincount(ring_of, weights=is_cut, minlength=number) == 0
    lowest = np.minimum.reduceat(points, offset)
    is_cut = is_cut | (without[ring_of] & (points == lowest[ring_of]))
    cuts = np.flatnonzero(is_cut)
    first = cuts[np.searchsorted(cuts, offset)] - offset
    place = np.arange(len(points)) - offset[ring_of]
    order = offset[ring_of] + (place + first[ring_of]) % size[ring_of]
    return points[order], is_cut[order], ring_of
