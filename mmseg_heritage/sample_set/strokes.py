"""Vector strokes: anti-aliased lines and shapes, wandering paths, handwriting and a stroke font.

Shapes are drawn at several times the resolution and averaged down, so that widths of a fraction of
a pixel work. Lines are OpenCV's; polygons and letters are drawn by our own code, because
``cv2.fillPoly`` sets a few other pixels in OpenCV 5 than in 4, and ``cv2.putText`` other glyphs.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from mmseg_heritage.sample_set.noise import FloatArray, Shape, pick

Points = npt.NDArray[np.float64]
"""(N, 2) float64, (x, y) in pixels."""

Color = tuple[float, float, float]
"""sRGB in 0..1."""


def _fill(sheet: npt.NDArray[np.uint8], corners: npt.NDArray[np.int32], value: int) -> None:
    """Fills a polygon (even-odd rule) in place: pixels whose center lies within it."""
    height, width = sheet.shape
    following = np.roll(corners, -1, axis=0)
    falls = corners[:, 1] > following[:, 1]  # every edge goes down, so that neighbors fit exactly
    upper = np.where(falls[:, None], following, corners)
    lower = np.where(falls[:, None], corners, following)
    first, end = np.clip(upper[:, 1], 0, height), np.clip(lower[:, 1], 0, height)
    spans = end - first
    if not spans.any():
        return
    edge = np.repeat(np.arange(len(corners)), spans)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(spans) - spans, spans) + first[edge]
    slope = (lower[edge, 0] - upper[edge, 0]) / (lower[edge, 1] - upper[edge, 1])
    crossing = upper[edge, 0] + (row + 0.5 - upper[edge, 1]) * slope
    column = np.clip(np.ceil(crossing - 0.5).astype(np.int64), 0, width)
    top, left = int(row.min()), int(column.min())
    rows, columns = int(row.max()) - top + 1, int(column.max()) - left + 1
    toggles = np.bincount((row - top) * columns + column - left, minlength=rows * columns)
    # Right of an odd number of edges is inside; nothing is inside right of the last edge.
    within = np.cumsum(toggles.reshape(rows, columns) & 1, axis=1)[:, :-1] & 1
    sheet[top : top + rows, left : left + columns - 1][within == 1] = value


class Stencil:
    """A sheet to cut shapes into; :meth:`alpha` tells how much of each pixel is cut out."""

    def __init__(self, shape: Shape) -> None:
        self._factor = 4 if max(shape) <= 800 else 2
        self._sheet = np.zeros((shape[0] * self._factor, shape[1] * self._factor), np.uint8)

    def _scaled(self, points: Points) -> npt.NDArray[np.int32]:
        return np.round(np.asarray(points) * self._factor).astype(np.int32).reshape(-1, 1, 2)

    def line(self, points: Points, width: float, closed: bool = False) -> Stencil:
        """Draws a polyline of ``width`` pixels."""
        thickness = max(1, round(width * self._factor))
        cv2.polylines(self._sheet, [self._scaled(points)], closed, 255, thickness)
        return self

    def taper(self, points: Points, start: float, end: float) -> Stencil:
        """Draws a polyline whose width goes from ``start`` to ``end`` pixels."""
        widths = np.linspace(start, end, max(len(points) - 1, 1))
        for i, width in enumerate(widths):
            self.line(points[i : i + 2], float(width))
        return self

    def polygon(self, points: Points) -> Stencil:
        """Fills a polygon."""
        _fill(self._sheet, self._scaled(points).reshape(-1, 2), 255)
        return self

    def disc(self, x: float, y: float, radius: float, squash: float = 1.0) -> Stencil:
        """Fills an ellipse, ``squash`` times as high as wide."""
        return self.polygon(ellipse(x, y, radius, radius * squash))

    def erase(self, points: Points) -> Stencil:
        """Takes a polygon away again."""
        _fill(self._sheet, self._scaled(points).reshape(-1, 2), 0)
        return self

    def alpha(self) -> FloatArray:
        """Returns the coverage of each pixel: (H, W) float32 in 0..1."""
        f = self._factor
        rows, cols = self._sheet.shape
        bands = self._sheet.reshape(rows // f, f, cols).sum(axis=1, dtype=np.uint16)
        # Four strided sums are many times as fast as one sum over a short last axis.
        covered = sum(bands[:, i::f] for i in range(f))
        return (covered / (255.0 * f * f)).astype(np.float32)


def over(image: FloatArray, alpha: FloatArray, color: Color | FloatArray) -> FloatArray:
    """Lays a color, or an (H, W, 3) picture, over an image where ``alpha`` says so."""
    top = np.asarray(color, np.float32)
    return image + alpha[..., None] * (top - image)


def points(*xy: tuple[float, float]) -> Points:
    """Returns corner points as an array."""
    return np.array(xy, np.float64)


def ellipse(
    x: float, y: float, rx: float, ry: float, start: float = 0.0, end: float = 360.0
) -> Points:
    """Returns an ellipse, or the arc between two angles in degrees (0 is right, 90 is down)."""
    angle = np.radians(np.linspace(start, end, 49))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def turned(shape: Points, x: float, y: float, degrees: float, scale: float = 1.0) -> Points:
    """Turns points about the origin, scales them and puts the origin at (x, y)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    px, py = shape[:, 0], shape[:, 1]
    return np.stack([x + scale * (c * px - s * py), y + scale * (s * px + c * py)], axis=1)


def blob(
    x: float,
    y: float,
    radius: float,
    rng: np.random.Generator,
    roughness: float = 0.3,
    harmonics: int = 7,
) -> Points:
    """Returns an irregular closed outline around (x, y), coarse waves stronger than fine ones."""
    angle = np.linspace(0, 2 * np.pi, 97)[:-1]
    swing = np.zeros_like(angle)
    for k in range(1, harmonics + 1):
        swing += pick(rng, -1, 1) / k * np.sin(k * angle + pick(rng, 0, 2 * np.pi))
    r = radius * np.maximum(1 + roughness * swing, 0.2)
    return np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], axis=1)


def curve(knots: Points, per_span: int = 8) -> Points:
    """Returns a smooth (Catmull-Rom) curve through the knots."""
    padded = np.concatenate([knots[:1], knots, knots[-1:]])
    t = np.linspace(0, 1, per_span, endpoint=False)[:, None]
    spans = []
    for i in range(len(knots) - 1):
        p0, p1, p2, p3 = padded[i : i + 4]
        spans.append(
            0.5
            * (
                2 * p1
                + (p2 - p0) * t
                + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                + (3 * p1 - p0 - 3 * p2 + p3) * t**3
            )
        )
    return np.concatenate([*spans, knots[-1:]])


def wander(
    x: float,
    y: float,
    heading: float,
    length: float,
    step: float,
    wiggle: float,
    rng: np.random.Generator,
    inertia: float = 0.0,
) -> Points:
    """Returns a path of steps from (x, y) that keeps about one heading while each step strays.

    ``heading`` and ``wiggle`` (standard deviation of the stray) are in radians. ``inertia`` 0 gives
    kinks that come back to the heading (cracks), near 1 lasting bends (hair).
    """
    turns = rng.standard_normal(max(int(length / step), 2)) * wiggle
    stray = 0.0
    path = [(x, y)]
    for turn in turns:
        stray = inertia * stray + float(turn)
        if inertia:
            heading += stray
        angle = heading if inertia else heading + stray
        x, y = x + step * np.cos(angle), y + step * np.sin(angle)
        path.append((x, y))
    return np.array(path)


# Strokes of each letter on a grid 4 wide and 6 high: corner points "xy", strokes apart by a space.
_GLYPHS = {
    "0": "103041453616050110",
    "1": "112026 1636",
    "2": "01103041420646",
    "3": "004022324345361605",
    "4": "36300444",
    "5": "4000023243453606",
    "6": "40200205163645443303",
    "7": "004016",
    "8": "10304142331304051636454433 13020110",
    "9": "06264441301001021343",
    "A": "062046 1434",
    "B": "00063645443303 3342413000",
    "C": "4130100105163645",
    "D": "00062644422000",
    "E": "40000646 0333",
    "F": "400006 0333",
    "G": "41301001051636454323",
    "H": "0006 4046 0343",
    "I": "2026",
    "K": "0006 400346",
    "L": "000646",
    "M": "0600234046",
    "N": "06004640",
    "O": "103041453616050110",
    "P": "06003041423303",
    "R": "06003041423303 2346",
    "S": "413010010213334445361605",
    "T": "0040 2026",
    "U": "000516364540",
    "V": "002640",
    "X": "0046 4006",
    "Y": "002340 2326",
    "-": "1333",
    ".": "2526",
    "/": "0640",
}
ADVANCE = 5.6
"""Width of a letter with its gap, in grid units (a letter is 6 high)."""


def text(line: str, height: float) -> list[Points]:
    """Returns the strokes of a line of text centered on the origin, letters ``height`` pixels high.

    Unknown characters (such as a space) leave a gap.
    """
    unit = height / 6.0
    left = -ADVANCE * len(line) / 2
    strokes = []
    for place, letter in enumerate(line):
        for stroke in _GLYPHS.get(letter, "").split():
            xy = np.array(
                [[int(a), int(b)] for a, b in zip(stroke[::2], stroke[1::2], strict=True)]
            )
            strokes.append((xy + np.array((left + place * ADVANCE + 0.8, -3.0))) * unit)
    return strokes


def text_on_arc(line: str, height: float, radius: float, middle: float) -> list[Points]:
    """Returns the strokes of text around the origin, centered on the angle ``middle`` (degrees)."""
    step = np.degrees(ADVANCE * height / 6.0 / radius)
    strokes = []
    for place, letter in enumerate(line):
        angle = middle + (place - (len(line) - 1) / 2) * step
        x, y = radius * np.cos(np.radians(angle)), radius * np.sin(np.radians(angle))
        strokes += [turned(stroke, x, y, angle + 90) for stroke in text(letter, height)]
    return strokes


def handwriting(length: float, height: float, rng: np.random.Generator) -> list[Points]:
    """Returns one line of illegible joined-up writing from the origin to the right.

    Each word is a pen moving right while it circles: wide circles make loops (e, l), narrow ones
    arches (m, u), tall and deep ones the letters that leave the line; a bar now and then is a t.
    """
    strokes = []
    x = 0.0
    while x < length:
        letters = int(rng.integers(2, 9))
        turns = np.linspace(0, 2 * np.pi * letters, 12 * letters)
        knots = 2 * np.pi * np.arange(letters + 2)
        tall = np.interp(turns, knots, rng.choice([0.45, 0.5, 0.55, 0.5, 1.2], letters + 2))
        deep = np.interp(turns, knots, rng.choice([0.0, 0.0, 0.0, 0.0, 0.5], letters + 2))
        loop = np.interp(turns, knots, rng.choice([0.02, 0.06, 0.2, 0.26], letters + 2))
        swing = 0.5 - 0.5 * np.cos(turns)
        pen_y = height * (deep * (1 - swing) - tall * swing)
        advance = height * (0.52 + 0.06 * np.sin(0.7 * turns))
        pen_x = x + turns / (2 * np.pi) * advance + height * loop * np.sin(turns) - 0.28 * pen_y
        strokes.append(np.stack([pen_x, pen_y], axis=1))
        if rng.random() < 0.4:
            bar = float(pen_x[int(rng.integers(len(pen_x)))])
            strokes.append(
                points((bar - 0.2 * height, -0.8 * height), (bar + 0.3 * height, -0.88 * height))
            )
        x += (letters * 0.52 + 0.7) * height
    return strokes
