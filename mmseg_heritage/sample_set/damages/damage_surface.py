"""What lies on the surface: dust, hair, dirt."""

from __future__ import annotations

import numpy as np

from mmseg_heritage.sample_set.artworks.artwork import clip
from mmseg_heritage.sample_set.artworks.designs import flat
from mmseg_heritage.sample_set.artworks.scene import Scene
from mmseg_heritage.sample_set.damages.damage import Layer, patches, tone
from mmseg_heritage.sample_set.noise import fbm, pick, smoothstep, value_noise
from mmseg_heritage.sample_set.strokes import Color, Stencil, over, wander


def _contrasting(scene: Scene, alpha: np.ndarray, light: Color, dark: Color) -> Color:
    """Picks the color that shows on what lies under a layer."""
    return light if tone(scene, alpha) < 0.5 else dark


def dust(scene: Scene, rng: np.random.Generator) -> Layer:
    """Many specks and a few lint fibers, thicker here than there."""
    u = scene.unit
    h, w = scene.shape
    stencil = Stencil(scene.shape)
    density = fbm(scene.shape, 90 * u, rng, 2)
    for _ in range(int(rng.integers(220, 420))):
        x, y = pick(rng, 0, w - 1), pick(rng, 0, h - 1)
        if rng.random() > density[int(y), int(x)] ** 1.5:
            continue
        r = max(pick(rng, 0.7, 1.2) * u, 0.6) * (1.6 if rng.random() < 0.12 else 1.0)
        stencil.disc(x, y, r, pick(rng, 0.6, 1.0))
        if rng.random() < 0.06:
            fiber = wander(x, y, pick(rng, 0, 6.3), pick(rng, 6, 12) * u, 2 * u, 0.3, rng, 0.7)
            stencil.line(fiber, scene.width(1.0))
    alpha = stencil.alpha()
    color = _contrasting(scene, alpha, (0.93, 0.92, 0.88), (0.16, 0.14, 0.12))
    return Layer(flat(scene.shape, color), 0.9 * alpha, 0.35)


def hair(scene: Scene, rng: np.random.Generator) -> Layer:
    """One to four long thin bending filaments."""
    u = scene.unit
    stencil = Stencil(scene.shape)
    for _ in range(int(rng.integers(2, 5))):
        x, y = scene.spot(rng, 30 * u)
        length = pick(rng, 70, 150) * u
        path = wander(x, y, pick(rng, 0, 6.3), length, 3 * u, pick(rng, 0.02, 0.06), rng, 0.88)
        path -= path[len(path) // 2] - np.array((x, y))
        stencil.taper(path, scene.width(1.5), scene.width(1.1))
    alpha = stencil.alpha()
    color = _contrasting(scene, alpha, (0.88, 0.87, 0.83), (0.14, 0.10, 0.07))
    return Layer(flat(scene.shape, color), 0.92 * alpha, 0.35)


def dirt(scene: Scene, rng: np.random.Generator) -> Layer:
    """Dull brown-gray smudges, rubbed in one direction, with gritty edges."""
    u = scene.unit
    field = patches(scene, int(rng.integers(2, 4)), (20, 40), rng, 0.8, at_rim=0.3)
    wipe = (5 * u, 40 * u) if rng.random() < 0.5 else (40 * u, 5 * u)
    rubbed = value_noise(scene.shape, wipe, rng) + 0.8 * fbm(scene.shape, 9 * u, rng, 4, 0.7)
    body = smoothstep(-10 * u, 10 * u, field + 16 * u * (rubbed - 0.9))
    grit = smoothstep(0.55, 0.8, value_noise(scene.shape, 1.8 * u, rng))
    alpha = body * (0.74 + 0.2 * grit)
    dark_below = tone(scene, alpha) < 0.3
    film: Color = (0.50, 0.45, 0.36) if dark_below else (0.23, 0.19, 0.14)
    color = over(clip(scene.image * 0.55), np.full(scene.shape, 0.62, np.float32), film)
    return Layer(color, alpha, 0.3)
