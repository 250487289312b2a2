"""Shapes of SVG as corners: paths with curves and arcs, rectangles, ellipses; and transforms."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TOKENS = re.compile(rf"[MmZzLlHhVvCcSsQqTtAa]|{_NUMBER}")
_NOT_DATA = re.compile(rf"[MmZzLlHhVvCcSsQqTtAa,\s]|{_NUMBER}")
_TRANSFORM = re.compile(r"\s*,?\s*(\w+)\s*\(([^()]*)\)")
_COUNTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}
_STEPS = 24  # straight parts of a curve
_MAX_CORNERS = 5_000_000

Ring = NDArray[np.float64]


def transform_of(text: str) -> NDArray[np.float64]:
    """Reads a list of transforms.

    Returns:
        Matrix (3, 3) that takes (x, y, 1) to where it is seen.

    Raises:
        ValueError: If it is none of SVG's.
    """
    matrix = np.eye(3)
    if _TRANSFORM.sub("", text).strip():
        raise ValueError(f"no transform: '{text[:60]}'")
    for name, content in _TRANSFORM.findall(text):
        values = [float(n) for n in re.findall(_NUMBER, content)]
        matrix = matrix @ _matrix(name, values)
    if not np.isfinite(matrix).all():
        raise ValueError(f"no transform: '{text[:60]}'")
    return matrix


def _matrix(name: str, values: list[float]) -> NDArray[np.float64]:
    number = len(values)
    if name == "matrix" and number == 6:
        a, b, c, d, e, f = values
    elif name == "translate" and number in (1, 2):
        a, b, c, d, e, f = 1, 0, 0, 1, values[0], (*values, 0)[1]
    elif name == "scale" and number in (1, 2):
        a, b, c, d, e, f = values[0], 0, 0, values[-1], 0, 0
    elif name == "rotate" and number in (1, 3):
        angle = math.radians(values[0])
        x, y = values[1:] if number == 3 else (0.0, 0.0)
        a, b = math.cos(angle), math.sin(angle)
        c, d = -b, a
        e, f = x - a * x - c * y, y - b * x - d * y
    elif name in ("skewX", "skewY") and number == 1:
        slope = math.tan(math.radians(values[0]))
        a, b, c, d, e, f = 1, 0, slope, 1, 0, 0
        if name == "skewY":
            b, c = slope, 0
    else:
        raise ValueError(f"no transform: {name} of {number} numbers")
    return np.array([[a, c, e], [b, d, f], [0, 0, 1]], float)


def shape_rings(tag: str, attributes: Mapping[str, str]) -> list[Ring] | None:
    """Returns the rings of a shape; None if the element is none that has an area.

    Raises:
        ValueError: If it cannot be read.
    """

    def number(key: str, default: str = "0") -> float:
        text = attributes.get(key, default).strip().removesuffix("px")
        if not re.fullmatch(_NUMBER, text):
            raise ValueError(f"{key}: expected a number of pixels, found '{text[:40]}'")
        return float(text)

    if tag == "path":
        return list(_path_rings(attributes.get("d", "")))
    if tag in ("polygon", "polyline"):
        values = [float(n) for n in re.findall(_NUMBER, attributes.get("points", ""))]
        return [np.array(values[: len(values) // 2 * 2]).reshape(-1, 2)]
    if tag == "rect":
        x, y, w, h = (number(key) for key in ("x", "y", "width", "height"))
        return [np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])]
    if tag in ("circle", "ellipse"):
        rx, ry = (number("r"), number("r")) if tag == "circle" else (number("rx"), number("ry"))
        angles = np.linspace(0, 2 * np.pi, 4 * _STEPS, endpoint=False)
        center = (number("cx"), number("cy"))
        return [np.stack([rx * np.cos(angles), ry * np.sin(angles)], axis=1) + center]
    return None


def _commands(data: str) -> Iterator[tuple[str, list[float]]]:
    """Yields the commands of a path with their numbers."""
    if _NOT_DATA.sub("", data):
        raise ValueError("the data of the path are damaged")
    tokens = _flags_apart(_TOKENS.findall(data))
    command, place = "", 0
    while place < len(tokens):
        if tokens[place].isalpha():
            command, place = tokens[place], place + 1
        elif command in "Zz":  # also at the beginning
            raise ValueError("the data of the path are damaged")
        count = _COUNTS[command.upper()]
        values = tokens[place : place + count]
        if len(values) < count or any(v.isalpha() for v in values):
            raise ValueError("the data of the path are damaged")
        yield command, [float(v) for v in values]
        place += count
        command = {"M": "L", "m": "l"}.get(command, command)


def _flags_apart(tokens: list[str]) -> list[str]:
    """Divides the flags of arcs, which may be written without a space: 'a1 1 0 011 1'."""
    result: list[str] = []
    command, position = "", 0
    for token in tokens:
        if token.isalpha():
            command, position = token, 0
            result.append(token)
            continue
        while command in "Aa" and command and position % 7 in (3, 4) and len(token) > 1:
            result.append(token[0])
            token, position = token[1:], position + 1
        result.append(token)
        position += 1
    return result


def _path_rings(data: str) -> Iterator[Ring]:
    """Yields the subpaths of a path, with curves as straight parts; open ones are closed."""
    here = start = control = np.zeros(2)
    points: list[np.ndarray] = []
    before, total = "", 0
    for command, values in _commands(data):
        kind, is_relative = command.upper(), command.islower()
        if kind == "M" or (kind != "Z" and not points):
            if points:
                yield np.array(points)
            points = [here if kind != "M" else np.zeros(2)]
        if kind == "Z":
            here = start
            if points:
                yield np.array(points)
            points, before = [], kind
            continue
        origin = here if is_relative else np.zeros(2)
        if kind in "HV":
            end = here.copy()
            axis = "HV".index(kind)
            end[axis] = values[0] + origin[axis]
        else:
            end = np.array(values[-2:]) + origin
        if kind == "M":
            start, points = end, [end]
        elif kind in "LHV":
            points.append(end)
        elif kind == "A":
            points += list(_arc(here, end, values))
        else:
            pairs = [np.array(values[i : i + 2]) + origin for i in range(0, len(values), 2)]
            if kind in "ST":  # the first control point mirrors the last one
                like = before in ("CS" if kind == "S" else "QT") and before != ""
                pairs.insert(0, 2 * here - control if like else here)
            points += list(_curve([here, *pairs]))
            control = pairs[-2]
        here, before = end, kind
        total += len(points)
        if len(points) > _MAX_CORNERS:
            raise ValueError("it has too many corners; simplify it")
    if points:
        yield np.array(points)


def _curve(controls: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields points of a Bezier curve of three or four control points, without the first."""
    t = np.linspace(0, 1, _STEPS + 1)[1:, None]
    points = [np.broadcast_to(c, (len(t), 2)) for c in controls]
    while len(points) > 1:  # de Casteljau
        points = [(1 - t) * a + t * b for a, b in pairwise(points)]
    yield from points[0]


def _arc(start: np.ndarray, end: np.ndarray, values: list[float]) -> Iterator[np.ndarray]:
    """Yields points of an elliptical arc without the first (SVG 1.1, appendix F.6.5)."""
    rx, ry, turn, is_large, is_clockwise = abs(values[0]), abs(values[1]), *values[2:5]
    if rx == 0 or ry == 0 or np.array_equal(start, end):
        yield end
        return
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    rotation = np.array([[cos, sin], [-sin, cos]])
    half = rotation @ (start - end) / 2
    size = math.hypot(half[0] / rx, half[1] / ry)
    rx, ry = rx * max(size, 1), ry * max(size, 1)  # too small radii grow
    unit = half / (rx, ry)
    length = math.sqrt(max(0.0, 1 / max(float(unit @ unit), 1e-30) - 1))
    sign = -1 if bool(is_large) == bool(is_clockwise) else 1
    center = sign * length * np.array([unit[1], -unit[0]])
    first, last = (math.atan2(*(p - center)[::-1]) for p in (unit, -unit))
    sweep = last - first
    if is_clockwise and sweep < 0:
        sweep += 2 * math.pi
    elif not is_clockwise and sweep > 0:
        sweep -= 2 * math.pi
    angles = first + sweep * np.linspace(0, 1, 2 * _STEPS + 1)[1:]
    points = (np.stack([np.cos(angles), np.sin(angles)], axis=1) + center) * (rx, ry)
    yield from points @ rotation + (start + end) / 2
