"""How far two registered photographs are still apart, measured at their full size.

Around corners of BEFORE, where a shift in any direction shows, a square is looked for in AFTER by
normalized cross-correlation, which light and contrast do not change.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.registration.homographies import Matrix, moved

_POINTS = 400
_HALF = 16  # pixels of a square beside its middle
_REACH, _FARTHEST = 8, 32  # pixels up to which it is looked for, at least and at most
_SHARE = 250  # of the long side of BEFORE is that one part, between these two
_SURE = 0.7  # correlation from which on a square is found again
_FLAT = 2.0  # gray levels of standard deviation below which a square shows nothing
LEAST_FOUND = 12
"""Squares that must be found again, or the shifts are not believed."""


@dataclass(frozen=True, eq=False)
class LocalShifts:
    """Where squares of BEFORE were found again.

    Attributes:
        points: Their middles on BEFORE, (N, 2).
        shifts: How far from there they were found, (N, 2), in pixels of BEFORE.
        tried: Number of squares that were looked for.
    """

    points: NDArray[np.float64]
    shifts: NDArray[np.float64]
    tried: int

    def distances(self) -> NDArray[np.float64]:
        """Returns the lengths of the shifts, (N,)."""
        return np.hypot(*self.shifts.T)


def corner_points(small: np.ndarray, scale: float, mask: np.ndarray) -> NDArray[np.float64]:
    """Returns places on BEFORE where shifts can be measured, (N, 2).

    Args:
        small: Smaller copy of BEFORE, uint8 (h, w).
        scale: Its size in that of BEFORE.
        mask: Where to look, uint8 (h, w), 0 for not.
    """
    apart = max(max(small.shape) / 60, 4)
    found = cv2.goodFeaturesToTrack(small, _POINTS, 0.01, apart, mask=mask)
    if found is None:
        return np.empty((0, 2))
    return (found.reshape(-1, 2).astype(np.float64) + 0.5) / scale - 0.5


def local_shifts(
    before: np.ndarray, after: np.ndarray, matrix: Matrix, points: NDArray[np.float64]
) -> LocalShifts:
    """Measures how far AFTER is from BEFORE around places.

    Args:
        before: Gray levels, uint8 (H, W).
        after: Gray levels, uint8 (h, w).
        matrix: The homography.
        points: Places on BEFORE, (N, 2).
    """
    found, shifts, tried = [], [], 0
    height, width = before.shape
    reach = min(max(round(max(height, width) / _SHARE), _REACH), _FARTHEST)
    wide = _HALF + reach
    for x, y in np.rint(points).astype(int):
        if not (wide <= x < width - wide and wide <= y < height - wide):
            continue
        square = before[y - _HALF : y + _HALF + 1, x - _HALF : x + _HALF + 1]
        around = _part(after, matrix, x - wide, y - wide, 2 * wide + 1)
        if around is None or square.std() < _FLAT or around.std() < _FLAT:
            continue
        tried += 1
        shift = _shift(cv2.matchTemplate(around, square, cv2.TM_CCOEFF_NORMED), reach)
        if shift is not None:
            found.append((x, y))
            shifts.append(shift)
    return LocalShifts(
        np.array(found, float).reshape(-1, 2), np.array(shifts, float).reshape(-1, 2), tried
    )


def _part(after: np.ndarray, matrix: Matrix, left: int, top: int, side: int) -> np.ndarray | None:
    """Returns a square of the frame of BEFORE as AFTER shows it; None where it does not."""
    corners = np.array([[0, 0], [side, 0], [side, side], [0, side]], float)
    places = moved(np.linalg.inv(matrix), corners + np.array([left, top]))
    height, width = after.shape
    first, last = np.floor(places.min(axis=0)) - 2, np.ceil(places.max(axis=0)) + 3
    if not (first >= 0).all() or last[0] > width or last[1] > height:
        return None
    (x0, y0), (x1, y1) = first.astype(int), last.astype(int)
    into = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], float)
    out_of = np.array([[1, 0, x0], [0, 1, y0], [0, 0, 1]], float)
    part = np.ascontiguousarray(after[y0:y1, x0:x1])
    return cv2.warpPerspective(
        part, into @ matrix @ out_of, (side, side), flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def _shift(scores: np.ndarray, reach: int) -> tuple[float, float] | None:
    """Returns where correlation is highest, from the middle; None where it is low or at the edge.

    Between pixels it is the top of a parabola through the highest value and its neighbors.
    """
    row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
    if scores[row, column] < _SURE:
        return None
    if not (0 < row < scores.shape[0] - 1 and 0 < column < scores.shape[1] - 1):
        return None
    down = _top(*scores[row - 1 : row + 2, column].tolist())
    across = _top(*scores[row, column - 1 : column + 2].tolist())
    return float(column - reach + across), float(row - reach + down)


def _top(left: float, middle: float, right: float) -> float:
    bend = left - 2 * middle + right
    return 0.0 if bend >= 0 else (left - right) / (2 * bend)
