"""What all damage has in common: a layer of paint, where it shows, and how it enters the mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmseg_heritage.sample_set.artworks.artwork import clip, gray
from mmseg_heritage.sample_set.artworks.scene import Scene
from mmseg_heritage.sample_set.noise import FloatArray, fbm, grid, pick
from mmseg_heritage.sample_set.strokes import over


@dataclass
class Layer:
    """One damage as paint.

    Attributes:
        color: (H, W, 3) float32 in 0..1, the damaged surface.
        alpha: (H, W) float32 in 0..1, how much of it shows.
        threshold: The mask is where ``alpha`` exceeds this.
    """

    color: FloatArray
    alpha: FloatArray
    threshold: float = 0.5


Painter = Callable[[Scene, np.random.Generator], Layer]
"""(scene, rng) -> Layer. A painter reads the scene and leaves it as it is."""


def lay(scene: Scene, layer: Layer, class_id: int) -> None:
    """Paints a layer onto the object, and its pixels into the mask over earlier damage."""
    alpha = np.clip(layer.alpha, 0.0, 1.0).astype(np.float32) * scene.inside
    scene.image = clip(over(scene.image, alpha, layer.color))
    scene.mask[(alpha > layer.threshold) & scene.inside] = class_id


def tone(scene: Scene, alpha: FloatArray) -> float:
    """Mean luma of the object under a layer (of the whole object where the layer is empty)."""
    where = (alpha > 0.3) & scene.inside
    if not where.any():
        where = scene.inside
    return float(gray(scene.image)[where].mean(dtype=np.float64))


def with_contrast(
    scene: Scene, color: FloatArray, alpha: FloatArray, least: float = 0.2
) -> FloatArray:
    """Makes an exposed layer lighter or darker where it would look like the surface."""
    where = (alpha > 0.3) & scene.inside
    if not where.any():
        return color
    before = float(gray(scene.image)[where].mean(dtype=np.float64))
    after = float(gray(color)[where].mean(dtype=np.float64))
    if abs(after - before) >= least:
        return color
    up = before < 0.5 or (after >= before and before + least < 0.9)
    goal = before + least if up else before - least
    return clip(color * np.float32(goal / max(after, 0.05)))


def patch(
    scene: Scene, x: float, y: float, radius: float, rng: np.random.Generator, ragged: float = 0.5
) -> FloatArray:
    """Irregular patch: (H, W) signed distance inside its outline, in about pixels."""
    u = scene.unit
    ys, xs = grid(scene.shape)
    turn, squash = pick(rng, 0, np.pi), pick(rng, 0.65, 1.0)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = c * (xs - x) + s * (ys - y), -s * (xs - x) + c * (ys - y)
    distance = np.sqrt(along**2 + (across / np.float32(squash)) ** 2)
    stray = fbm(scene.shape, max(radius * 0.9, 6 * u), rng, 5, 0.55) - 0.5
    field: FloatArray = (radius * (1 + 2 * ragged * stray) - distance).astype(np.float32)
    return field


def patches(
    scene: Scene,
    number: int,
    radius: tuple[float, float],
    rng: np.random.Generator,
    ragged: float = 0.5,
    at_rim: float = 0.0,
) -> FloatArray:
    """Union of several patches, radii in pixels at 256; some (``at_rim``, 0..1) bite the rim."""
    field = np.full(scene.shape, -1e3, np.float32)
    for _ in range(number):
        r = pick(rng, *radius) * scene.unit
        if rng.random() < at_rim:
            x, y, _heading = scene.rim_spot(rng)
        else:
            x, y = scene.spot(rng, r)
        field = np.maximum(field, patch(scene, x, y, r, rng, ragged))
    return field
