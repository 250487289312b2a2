"""Polygons of files that a person has edited: checked before they are painted."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

MAX_COORDINATE = 1e7  # pixels; no image is larger


class RingProblem(ValueError):
    """What is wrong with a polygon, beginning with its name."""


def checked_rings(content: Any, label: str) -> list[NDArray[np.float64]]:
    """Returns the rings of a polygon as arrays (N, 2), the first corner not repeated.

    Args:
        content: List of rings, each a list of [x, y], as JSON holds them.
        label: What messages call the polygon.

    Raises:
        RingProblem: If these are no rings of numbers, or they cross themselves or each other.
    """
    try:
        rings = [np.array([point[:2] for point in ring], float) for ring in content]
    except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
        raise RingProblem(f"{label}: expected rings of [x, y]") from error
    if not rings or any(ring.ndim != 2 or ring.shape[1] != 2 for ring in rings):
        raise RingProblem(f"{label}: expected rings of [x, y]")
    if not all((np.abs(ring) < MAX_COORDINATE).all() for ring in rings):  # also NaN
        raise RingProblem(f"{label}: has coordinates that are no pixels of an image")
    rings = [ring[:-1] if np.array_equal(ring[0], ring[-1]) else ring for ring in rings]
    if min(map(len, rings)) < 3:
        raise RingProblem(f"{label}: expected rings of at least 3 corners")
    polygon = shapely.Polygon(rings[0], rings[1:])
    if not polygon.is_valid:
        reason = shapely.is_valid_reason(polygon).replace("[", " at (").replace("]", ")")
        raise RingProblem(f"{label}: crosses itself or its holes: {reason}; correct it there")
    return rings
