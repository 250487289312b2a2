"""Homographies between two photographs: their sizes, what they cover, whether they can be."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.floating[Any]]
"""3 x 3; (x, y, 1) of AFTER -> a multiple of (x, y, 1) of BEFORE."""

LARGEST_SIDE = 32_000
"""Pixels; OpenCV's warping counts in 16 bits."""
_MOST_ENLARGED = 6.0
_MOST_TILTED = 3.0  # times that one corner is enlarged more than another, in area 9
_LEAST_OVERLAP = 0.1


def scaled(matrix: Matrix, before: float, after: float) -> Matrix:
    """Returns the homography between full photographs from that between smaller copies.

    Args:
        matrix: Between the copies.
        before: Size of the copy of BEFORE in that of the photograph, 0 to 1.
        after: The same of AFTER.
    """
    found = np.linalg.inv(_shrinking(before)) @ matrix @ _shrinking(after)
    return found / found[2, 2]


def _shrinking(scale: float) -> Matrix:
    """Returns what takes a place in a photograph to that in its copy: borders to borders."""
    shift = (scale - 1) / 2
    return np.array([[scale, 0, shift], [0, scale, shift], [0, 0, 1]])


def moved(matrix: Matrix, points: Matrix) -> Matrix:
    """Returns points, (N, 2), in the other photograph."""
    ones = np.ones((len(points), 1))
    found = np.hstack([points, ones]) @ matrix.T
    return found[:, :2] / found[:, 2:]


def enlarged(matrix: Matrix, points: Matrix) -> Matrix:
    """Returns the area on BEFORE of a pixel of AFTER at places, (N,); below 0 where mirrored.

    It is the determinant of the derivative of the homography.
    """
    depth = np.hstack([points, np.ones((len(points), 1))]) @ matrix[2]
    return np.linalg.det(matrix) / depth**3


def implausible(matrix: Matrix, before: tuple[int, ...], after: tuple[int, ...]) -> str:
    """Says why two photographs of one object cannot lie like this; empty if they can.

    Args:
        matrix: The homography.
        before: Height and width of BEFORE.
        after: Height and width of AFTER.
    """
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12:
        return "the photographs cannot be laid over each other"
    height, width = after[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    depth = np.hstack([corners, np.ones((4, 1))]) @ matrix[2]
    if depth.min() <= 0:
        return "a part of one photograph would lie behind the camera of the other"
    area = enlarged(matrix, corners)
    if area.min() <= 0:
        return "one photograph would be the mirror image of the other"
    sides = np.sqrt(area)
    if sides.max() > _MOST_ENLARGED or sides.min() < 1 / _MOST_ENLARGED:
        return (
            f"one photograph would be {max(sides.max(), 1 / sides.min()):.1f} times as large as "
            f"the other, expected at most {_MOST_ENLARGED:g} times"
        )
    if sides.max() > _MOST_TILTED * sides.min():
        return "one photograph would be taken from too far aside"
    covered = float(seen(matrix, before, after).mean())
    of_after = float(seen(np.linalg.inv(matrix), after, before).mean())
    if max(covered, of_after) < _LEAST_OVERLAP:
        return (
            f"they would share {100 * covered:.0f} % of BEFORE and {100 * of_after:.0f} % of "
            f"AFTER, expected {100 * _LEAST_OVERLAP:.0f} % of one at least"
        )
    return ""


def seen(matrix: Matrix, before: tuple[int, ...], after: tuple[int, ...]) -> NDArray[np.bool_]:
    """Returns which pixels of BEFORE are on AFTER too, bool (H, W)."""
    ones = np.ones(after[:2], np.uint8)
    return warped_ids(ones, matrix, before, outside=0) > 0


def warped_ids(
    ids: np.ndarray, matrix: Matrix, before: tuple[int, ...], outside: int
) -> NDArray[np.uint8]:
    """Returns a map of AFTER in the frame of BEFORE: the nearest pixel of each.

    Args:
        ids: uint8 (h, w).
        matrix: The homography.
        before: Height and width of BEFORE.
        outside: Value where AFTER has no pixel.
    """
    size = (before[1], before[0])
    found: NDArray[np.uint8] = cv2.warpPerspective(
        np.ascontiguousarray(ids), matrix, size, flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(outside, 0, 0, 0),
    )  # fmt: skip
    return found


def warped_image(
    image: np.ndarray, matrix: Matrix, before: tuple[int, ...], outside: int = 0
) -> np.ndarray:
    """Returns a picture of AFTER, (h, w) or (h, w, 3), in the frame of BEFORE, interpolated."""
    size = (before[1], before[0])
    return cv2.warpPerspective(
        image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
        borderValue=(outside,) * 4,
    )  # fmt: skip
