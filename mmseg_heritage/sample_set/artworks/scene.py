"""An object as it is photographed: its outline on a backdrop, and the mask of its damage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmseg_heritage.sample_set.artworks.artwork import Artwork, clip, shaded, stroke_width, unit_of
from mmseg_heritage.sample_set.artworks.designs import flat
from mmseg_heritage.sample_set.noise import (
    BoolArray,
    FloatArray,
    IntArray,
    Shape,
    blur,
    fbm,
    grid,
    pick,
    resample,
    shift,
    smoothstep,
    value_noise,
)
from mmseg_heritage.sample_set.strokes import Color, over
from mmseg_heritage.taxonomy import IGNORE_INDEX


@dataclass
class Scene:
    """A placed object that damage is painted on.

    Attributes:
        material: One of :data:`mmseg_heritage.taxonomy.MATERIALS`.
        image: (H, W, 3) float32 in 0..1, what the camera sees.
        beneath: (H, W, 3) float32 in 0..1, the layer below the surface.
        support: (H, W, 3) float32 in 0..1, what shows where material is lost.
        inside: (H, W) bool, the object.
        mask: (H, W) uint8, 0 on the undamaged object, 255 around it.
        cells: (H, W) int32 numbers of tesserae, or None.
    """

    material: str
    image: FloatArray
    beneath: FloatArray
    support: FloatArray
    inside: BoolArray
    mask: npt.NDArray[np.uint8]
    cells: IntArray | None

    @property
    def shape(self) -> Shape:
        """Height and width in pixels."""
        return self.mask.shape[0], self.mask.shape[1]

    @property
    def unit(self) -> float:
        """Length of one pixel of an image of about 256 pixels."""
        return unit_of(self.shape)

    def width(self, width: float) -> float:
        """Scales the width of a stroke with the image."""
        return stroke_width(self.shape, width)

    def spot(self, rng: np.random.Generator, radius: float) -> tuple[float, float]:
        """Returns (x, y) on the object, with room around it and little damage so far."""
        rows, cols = np.nonzero(self.inside)
        best, best_score = (0.0, 0.0), -np.inf
        reach = max(round(radius), 1)
        for choice in rng.integers(len(rows), size=14):
            y, x = int(rows[choice]), int(cols[choice])
            top, left = y - reach, x - reach
            window = self.mask[max(top, 0) : y + reach + 1, max(left, 0) : x + reach + 1]
            score = float((window == 0).sum()) / (2 * reach + 1) ** 2
            if score > best_score:
                best, best_score = (float(x), float(y)), score
        return best

    def rim_spot(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """Returns (x, y) on the rim of the object and the heading inwards, in radians."""
        rows, cols = np.nonzero(self.inside)
        middle_x, middle_y = float(cols.mean()), float(rows.mean())
        angle = pick(rng, 0, 2 * np.pi)
        dx, dy = float(np.cos(angle)), float(np.sin(angle))
        reach = np.arange(0, sum(self.shape))
        x = np.round(middle_x + dx * reach).astype(int)
        y = np.round(middle_y + dy * reach).astype(int)
        within = (x >= 0) & (y >= 0) & (x < self.shape[1]) & (y < self.shape[0])
        x, y = x[within], y[within]
        last = int(np.nonzero(self.inside[y, x])[0][-1])
        return float(x[last]), float(y[last]), angle + np.pi


def _panel(xs: FloatArray, ys: FloatArray, shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Straight-edged: distance inside the rectangle, corners a little worn."""
    del rng
    return np.minimum(np.minimum(xs, shape[1] - xs), np.minimum(ys, shape[0] - ys))


def _torn(xs: FloatArray, ys: FloatArray, shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Torn or frayed: the edge strays, and a corner is missing."""
    u = unit_of(shape)
    ragged = _panel(xs, ys, shape, rng)
    ragged = (
        ragged - 9 * u * fbm(shape, 42 * u, rng, 5, 0.6) ** 2 - 2 * u * fbm(shape, 6 * u, rng, 3)
    )
    corner_x, corner_y = int(rng.integers(2)) * shape[1], int(rng.integers(2)) * shape[0]
    cut = np.abs(xs - corner_x) * pick(rng, 0.6, 1.6) + np.abs(ys - corner_y)
    return np.minimum(ragged, cut - (20 + 45 * fbm(shape, 30 * u, rng)) * u)


def _arch(xs: FloatArray, ys: FloatArray, shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Round-topped panel."""
    half = shape[1] / 2
    rise = min(half, 0.36 * shape[0])
    dome = rise - np.sqrt(((xs - half) * rise / half) ** 2 + (ys - rise) ** 2)
    return np.where(ys < rise, dome, _panel(xs, ys, shape, rng)).astype(np.float32)


def _round(xs: FloatArray, ys: FloatArray, shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Dish."""
    del rng
    across = np.sqrt(((xs / shape[1] - 0.5) * 2) ** 2 + ((ys / shape[0] - 0.5) * 2) ** 2)
    return ((1.0 - across) * min(shape) / 2).astype(np.float32)


def _fragment(xs: FloatArray, ys: FloatArray, shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Broken piece: a few straight breaks, chipped."""
    u = unit_of(shape)
    inside = np.full(shape, np.inf, np.float32)
    sides = int(rng.integers(5, 8))
    for k in range(sides):
        angle = 2 * np.pi * (k + pick(rng, -0.3, 0.3)) / sides
        reach = pick(rng, 0.38, 0.52)
        across = (xs / shape[1] - 0.5) * np.cos(angle) + (ys / shape[0] - 0.5) * np.sin(angle)
        inside = np.minimum(inside, ((reach - across) * min(shape)).astype(np.float32))
    rect = _panel(xs, ys, shape, rng)
    return np.minimum(inside, rect) - 7 * u * fbm(shape, 26 * u, rng, 5, 0.6)


Outline = Callable[[FloatArray, FloatArray, Shape, np.random.Generator], FloatArray]
"""(xs, ys, shape, rng) -> distance inside the outline in pixels, negative outside."""

OUTLINES: Mapping[str, Outline] = {
    "panel": _panel,
    "torn": _torn,
    "arch": _arch,
    "round": _round,
    "fragment": _fragment,
}
"""Outline name -> distance function. ``full`` (the object fills the picture) needs none."""

_BACKDROPS: tuple[Color, ...] = (
    (0.52, 0.52, 0.51),
    (0.13, 0.13, 0.14),
    (0.90, 0.90, 0.88),
    (0.30, 0.28, 0.26),
    (0.70, 0.69, 0.66),
)
_LIGHT_TABLE: Color = (0.96, 0.96, 0.94)


def _backdrop(shape: Shape, material: str, rng: np.random.Generator) -> FloatArray:
    """Scanner bed, copy stand, felt or light table."""
    color = _BACKDROPS[int(rng.integers(len(_BACKDROPS)))]
    if material in ("Glass", "Film emulsion"):
        color = _LIGHT_TABLE if rng.random() < 0.6 else _BACKDROPS[1]
    u = unit_of(shape)
    texture = 0.94 + 0.06 * fbm(shape, 90 * u, rng) + 0.04 * value_noise(shape, 1.8 * u, rng)
    return shaded(flat(shape, color), texture)


def place(artwork: Artwork, material: str, rng: np.random.Generator) -> Scene:
    """Lays an object on a backdrop, slightly turned, or lets it fill the picture."""
    shape = (artwork.picture.shape[0], artwork.picture.shape[1])
    form = artwork.forms[int(rng.integers(len(artwork.forms)))]
    backdrop = _backdrop(shape, material, rng)
    # A hole in a sheet shows what it lies on, one in a painting the canvas or wall behind.
    support = backdrop if material in ("Paper", "Parchment") else artwork.support
    if form == "full":
        return Scene(
            material,
            artwork.picture,
            artwork.beneath,
            support,
            np.ones(shape, np.bool_),
            np.zeros(shape, np.uint8),
            artwork.cells,
        )
    ys, xs = grid(shape)
    middle_y, middle_x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    tilt, grow = np.radians(pick(rng, -4.0, 4.0)), pick(rng, 1.10, 1.2)
    c, s = np.float32(grow * np.cos(tilt)), np.float32(grow * np.sin(tilt))
    art_x = c * (xs - middle_x) - s * (ys - middle_y) + np.float32(middle_x)
    art_y = s * (xs - middle_x) + c * (ys - middle_y) + np.float32(middle_y)

    depth = OUTLINES[form](art_x, art_y, shape, rng) / np.float32(grow)
    alpha = smoothstep(-0.7, 0.7, depth)
    u = unit_of(shape)
    cast = blur(shift(alpha, 4 * u, 3 * u), 4 * u)
    ground = shaded(backdrop, 1.0 - 0.5 * cast)
    thickness = 1.0 - 0.22 * smoothstep(2.2 * u, 0.0, depth)
    picture = shaded(resample(artwork.picture, art_y, art_x), thickness)
    inside = depth > 0
    cells = artwork.cells
    if cells is not None:
        row = np.clip(np.round(art_y), 0, shape[0] - 1).astype(np.int32)
        col = np.clip(np.round(art_x), 0, shape[1] - 1).astype(np.int32)
        cells = cells[row, col]
    mask = np.where(inside, 0, IGNORE_INDEX).astype(np.uint8)
    image = clip(over(ground, alpha, picture))
    return Scene(material, image, artwork.beneath, support, inside, mask, cells)
