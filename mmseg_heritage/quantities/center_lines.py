"""Length, width and direction of thin damage, from its center line and its distance map.

The center line is the skeleton of Lee, Kashyap and Chu, "Building skeleton models via 3-D medial
surface/axis thinning algorithms", CVGIP 56(6), 1994, as scikit-image makes it. Not that of Zhang
and Suen, which evaluation takes: it deletes lines at 45 degrees that are an even number of pixels
wide. Steps of pixels are up to 8 % longer than the line that they follow, at most angles (Vossepoel
and Smeulders, Computer Graphics and Image Processing 20, 1982); here, places along the center line
are smoothed before distances are added up, which follows a line at every angle. What smoothing took
away is smoothed and added again (the twicing of Tukey, "Exploratory Data Analysis", 1977), which
keeps curves.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_SMOOTHINGS = 24  # with weights 1/4, 1/2, 1/4: a standard deviation of 3.5 steps
_END = 1.7  # half widths at an end where a skeleton may run into a corner, at most sqrt(2) of them
_CALL = 20_000  # pixels over which thinning goes once in the time that a call takes
_SPURS = 5  # times that spurs on spurs are cut
_RAY = 0.25  # pixels by which an end is prolonged at a time
_NEIGHBORS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns, each pair of pixels once


@dataclass(frozen=True, eq=False)
class CenterLine:
    """Pixels of the center line of a mask; each stands for a piece of the line.

    Attributes:
        rows: int64 (N,).
        columns: int64 (N,).
        length: Of the piece in pixels, float64 (N,).
        width: Of the damage there in pixels, float64 (N,).
        angle: Direction of the piece, from the right towards the top, 0 to pi, float64 (N,).
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    length: NDArray[np.float64]
    width: NDArray[np.float64]
    angle: NDArray[np.float64]


def center_line(mask: np.ndarray) -> CenterLine:
    """Finds the center line of the connected parts of a mask.

    Side branches that hardly leave the width of the line are no lines. Ends are cut back by their
    width, where a skeleton turns into a corner, and prolonged straight to the border of the mask.

    Args:
        mask: bool (H, W). Beyond its sides nothing is taken to be.

    Returns:
        The pieces; their lengths sum up to that of the lines.
    """
    to_border = _to_border(mask)
    graph = _cut_spurs(_skeleton(mask), to_border)
    ends = _Ends(graph, to_border)
    trimmed = ends.trimmed()
    kept = graph.without(trimmed.removed)
    straight = kept.smoothed(kept.places)
    places = straight + kept.smoothed(kept.places - straight)
    angle = kept.angles(straight)
    length = kept.half_steps(places)
    tips, outside = trimmed.tips, trimmed.towards
    length[tips] += _rays(mask, places[tips], angle[tips], outside - places[tips])
    half = to_border[graph.rows, graph.columns]
    rest = trimmed.rest
    length[rest] += half[rest]
    alone = np.flatnonzero(graph.degree == 0)
    length[alone] = 2 * half[alone]
    width = _widths(to_border, graph, angle)
    stays = ~trimmed.removed
    return CenterLine(
        graph.rows[stays], graph.columns[stays], length[stays], width[stays],
        np.mod(-angle[stays], np.pi),
    )  # fmt: skip


def _skeleton(mask: np.ndarray) -> NDArray[np.bool_]:
    """Returns the skeleton of a mask, (H, W).

    Thinning goes over all pixels of an array as often as its widest part is pixels wide. So parts
    may be thinned alone, each in its own box, which changes no pixel, since thinning looks at
    neighbors only.
    """
    from skimage.morphology import skeletonize  # here, since few commands need it

    _, ids, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    line, rest = np.zeros(mask.shape, bool), mask.copy()
    for number in _thinned_alone(statistics[1:], mask.size) + 1:
        left, top, width, height, _ = statistics[number]
        box = (slice(top, top + height), slice(left, left + width))
        own = ids[box] == number
        line[box] |= skeletonize(own, method="lee") > 0
        rest[box] &= ~own
    if rest.any():
        line |= skeletonize(rest, method="lee") > 0
    return line


def _thinned_alone(statistics: np.ndarray, size: int) -> NDArray[np.int64]:
    """Returns which parts to thin alone: as many of the widest as take the least time in all.

    Args:
        statistics: OpenCV's of each part, int32 (n, 5).
        size: Pixels of the array in which the others are thinned together.
    """
    sides, pixels = statistics[:, 2:4].astype(np.float64), statistics[:, 4]
    passes = 2 + pixels / sides.max(1, initial=1) / 2
    order = np.argsort(-passes, kind="stable")
    alone = np.cumsum((_CALL + sides.prod(1) * passes)[order])
    together = size * np.append(passes[order], 0)
    return order[: np.argmin(np.append(0, alone) + together)]


def _to_border(mask: np.ndarray) -> NDArray[np.float64]:
    """Returns how far inside the mask's border each pixel's center is, (H, W); -0.5 outside."""
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # Squares of distances between pixels are integers: so the last bits of OpenCV's roots, which
    # are not the same in every run, do not count.
    exact = np.sqrt(np.rint(np.square(distance[1:-1, 1:-1], dtype=np.float64)))
    # OpenCV measures to the center of the nearest pixel outside, half a pixel beyond the border.
    return np.asarray(exact - 0.5, dtype=np.float64)


class _Graph:
    """Pixels of a skeleton, and the steps between those that touch.

    A step across a corner is left out where two steps along the sides go around it.

    Args:
        line: bool (H, W).
    """

    def __init__(self, line: np.ndarray) -> None:
        self.rows, self.columns = np.nonzero(line)
        number = np.full((line.shape[0] + 2, line.shape[1] + 2), -1, np.int32)
        number[self.rows + 1, self.columns + 1] = np.arange(len(self.rows))

        def at(down: int, right: int) -> NDArray[np.int32]:
            found: NDArray[np.int32] = number[self.rows + 1 + down, self.columns + 1 + right]
            return found

        steps = []
        for down, right in _NEIGHBORS:
            other = at(down, right)
            is_step = other >= 0
            if down and right:
                is_step &= (at(down, 0) < 0) & (at(0, right) < 0)
            steps.append(np.stack([np.flatnonzero(is_step), other[is_step]], axis=1))
        self._take(np.concatenate(steps))

    def _take(self, steps: NDArray[np.int64]) -> None:
        self.steps = steps
        self.degree = np.bincount(steps.ravel(), minlength=len(self.rows))
        self._from, self._to = steps[:, 0], steps[:, 1]

    @property
    def places(self) -> NDArray[np.float64]:
        """Centers of the pixels as x, y, (N, 2)."""
        return np.stack([self.columns, self.rows], axis=1).astype(np.float64)

    def without(self, removed: NDArray[np.bool_]) -> _Graph:
        """Returns the graph without the steps from and to some pixels, which stay in it."""
        other = object.__new__(_Graph)
        other.rows, other.columns = self.rows, self.columns
        other._take(self.steps[~removed[self.steps].any(axis=1)])
        return other

    def neighbors(self) -> NDArray[np.int64]:
        """Returns two neighbors of each pixel, (N, 2); -1 where there are fewer."""
        both = np.concatenate([self.steps, self.steps[:, ::-1]])
        both = both[np.argsort(both[:, 0], kind="stable")]
        first = np.searchsorted(both[:, 0], np.arange(len(self.rows)))
        found = np.full((len(self.rows), 2), -1, np.int64)
        for place in (0, 1):
            has = self.degree > place
            found[has, place] = both[first[has] + place, 1]
        return found

    def _sums(self, forth: NDArray[np.float64], back: NDArray[np.float64]) -> NDArray[np.float64]:
        """Adds up over the steps of each pixel what its steps from and to it bring."""
        number = len(self.rows)
        total = np.bincount(self._from, forth, number) + np.bincount(self._to, back, number)
        return total.astype(np.float64)

    def smoothed(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Brings places nearer to the middle of their neighbors'; ends and junctions stay."""
        places, inner = places.copy(), self.degree == 2
        for _ in range(_SMOOTHINGS):
            middle = np.stack(
                [self._sums(axis[self._to], axis[self._from]) / 2 for axis in places.T], axis=1
            )
            places[inner] = (places[inner] + middle[inner]) / 2
        return places

    def half_steps(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns half of the lengths of the steps of each pixel, (N,)."""
        half = np.hypot(*(places[self._to] - places[self._from]).T) / 2
        return self._sums(half, half)

    def angles(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the mean direction of the steps of each pixel from right to down, (N,)."""
        right, down = (places[self._to] - places[self._from]).T
        length, double = np.hypot(right, down), 2 * np.arctan2(down, right)
        # Directions are those of lines, the same when turned by 180 degrees: angles are doubled.
        cosine, sine = length * np.cos(double), length * np.sin(double)
        mean = np.arctan2(self._sums(sine, sine), self._sums(cosine, cosine))
        return np.asarray(mean / 2, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Trimmed:
    """What was cut off at the ends of lines.

    Attributes:
        removed: Which pixels of the graph, bool (N,).
        tips: Pixels at which cut lines end now.
        towards: x, y of the pixel where each of these ended before, (tips, 2).
        rest: Ends that were left as they are.
    """

    removed: NDArray[np.bool_]
    tips: NDArray[np.int64]
    towards: NDArray[np.float64]
    rest: NDArray[np.int64]


class _Ends:
    """Walks from the ends of lines inwards, over as many half widths as a corner can reach.

    Args:
        graph: Of the lines.
        to_border: See :func:`_to_border`.
    """

    def __init__(self, graph: _Graph, to_border: NDArray[np.float64]) -> None:
        self._graph = graph
        half = to_border[graph.rows, graph.columns]
        self.ends = self._at = np.flatnonzero(graph.degree == 1)
        self._at = self.ends.copy()
        self._is_spur = np.zeros(len(self.ends), bool)
        self._is_cut = np.zeros(len(self.ends), bool)
        neighbors, places = graph.neighbors(), graph.places
        before = np.full(len(self.ends), -1, np.int64)
        walked = np.zeros(len(self.ends))
        walks, pixels = [np.arange(len(self.ends))], [self.ends]
        going = walks[0]
        while len(going):
            here = self._at[going]
            onward = neighbors[here, (neighbors[here, 0] == before[going]).astype(int)]
            walked[going] += np.hypot(*(places[onward] - places[here]).T)
            before[going], self._at[going] = here, onward
            walks.append(going)
            pixels.append(onward)
            reach, degree = _END * half[onward], graph.degree[onward]
            self._is_spur[going] = (degree > 2) & (walked[going] <= reach + 1)
            self._is_cut[going] = (degree == 2) & (walked[going] >= reach)
            going = going[(degree == 2) & ~self._is_cut[going]]
        self._walks, self._pixels = np.concatenate(walks), np.concatenate(pixels)

    def spurs(self) -> NDArray[np.int64]:
        """Returns the pixels of side branches that hardly leave the width of their line."""
        own = self._is_spur[self._walks] & (self._graph.degree[self._pixels] < 3)
        return self._pixels[own]

    def trimmed(self) -> _Trimmed:
        """Cuts ends off, but for lines so short that little would be left."""
        number = len(self._graph.rows)
        of_cut = self._is_cut[self._walks]
        times = np.bincount(self._pixels[of_cut], minlength=number)
        cut = self._is_cut.copy()
        cut[self._walks[of_cut & (times[self._pixels] > 1)]] = False
        gone = cut[self._walks] & (self._pixels != self._at[self._walks])
        removed = np.zeros(number, bool)
        removed[self._pixels[gone]] = True
        towards = self._graph.places[self.ends[cut]]
        return _Trimmed(removed, self._at[cut], towards, self.ends[~cut])


def _cut_spurs(line: np.ndarray, to_border: NDArray[np.float64]) -> _Graph:
    """Returns the graph of a skeleton without spurs, which are removed from ``line`` too."""
    for _ in range(_SPURS):
        graph = _Graph(line)
        spurs = _Ends(graph, to_border).spurs()
        if not len(spurs):
            break
        line[graph.rows[spurs], graph.columns[spurs]] = False
    return _Graph(line)


def _rays(
    mask: np.ndarray,
    starts: NDArray[np.float64],
    angles: NDArray[np.float64],
    outwards: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Returns how far it is from places to the border of the mask, straight on.

    Args:
        mask: bool (H, W).
        starts: x, y, (N, 2).
        angles: Directions from right to down, (N,), or the opposite.
        outwards: About where to, (N, 2).
    """
    direction = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    direction[(direction * outwards).sum(axis=1) < 0] *= -1
    limit = 2 * np.hypot(*outwards.T) + 2  # for a tip that was turned into the line
    reached = np.zeros(len(starts))
    going, steps = np.arange(len(starts)), 0
    while len(going):
        steps += 1
        column, row = np.rint(starts[going] + steps * _RAY * direction[going]).astype(int).T
        inside = (row >= 0) & (row < mask.shape[0]) & (column >= 0) & (column < mask.shape[1])
        inside[inside] = mask[row[inside], column[inside]]
        going = going[inside & (steps * _RAY < limit[going])]
        reached[going] = steps * _RAY
    return reached + _RAY / 2


def _widths(
    to_border: NDArray[np.float64], graph: _Graph, angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns the width at each pixel, (N,).

    The middle of a line an even number of pixels wide lies between two pixels. So the width is the
    distance from the pixel to the border on one side, that from a pixel beside it to the border on
    the other side, and what lies between the two across the line.
    """
    padded = np.pad(to_border, 1, constant_values=-0.5)
    across = np.abs(np.stack([-np.sin(angle), np.cos(angle)]))
    half = to_border[graph.rows, graph.columns]
    beside = np.zeros_like(half)
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        other = padded[graph.rows + 1 + down, graph.columns + 1 + right]
        np.maximum(beside, other + across[0 if right else 1], out=beside)
    width: NDArray[np.float64] = half + beside
    return width
