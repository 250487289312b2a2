"""Changes of color: staining, burn marks, light leaks."""

from __future__ import annotations

import numpy as np

from mmseg_heritage.sample_set.artworks.artwork import clip
from mmseg_heritage.sample_set.artworks.designs import blend, choose
from mmseg_heritage.sample_set.artworks.scene import Scene
from mmseg_heritage.sample_set.damages.damage import Layer, patch, patches, tone
from mmseg_heritage.sample_set.noise import FloatArray, fbm, grid, pick, smoothstep
from mmseg_heritage.sample_set.strokes import over


def staining(scene: Scene, rng: np.random.Generator) -> Layer:
    """Tide marks: a tinted body and a darker rim where the liquid dried; bloom on dark objects."""
    u = scene.unit
    field = patches(scene, int(rng.integers(1, 4)), (22, 44), rng, 0.55, at_rim=0.35)
    alpha = smoothstep(-1.0, 1.0, field)
    wash = 0.45 + 0.4 * fbm(scene.shape, 24 * u, rng)
    rim = smoothstep(5.0 * u, 0.5 * u, field)
    strength = np.clip(wash + 0.55 * rim, 0.0, 1.0).astype(np.float32)
    if tone(scene, alpha) < 0.25:
        return Layer(over(scene.image, 0.62 * strength, (0.62, 0.64, 0.56)), alpha)
    tint = choose(
        rng,
        (
            (0.66, 0.48, 0.26),
            (0.66, 0.36, 0.20),
            (0.48, 0.56, 0.36),
            (0.40, 0.46, 0.66),
            (0.60, 0.50, 0.30),
        ),
    )
    return Layer(
        over(scene.image, strength, clip(scene.image * np.asarray(tint, np.float32))), alpha
    )


def burn_marks(scene: Scene, rng: np.random.Generator) -> Layer:
    """Scorching: black char, brown around it, a tan halo."""
    u = scene.unit
    radius = pick(rng, 26, 44) * u
    if rng.random() < 0.65:
        x, y, _heading = scene.rim_spot(rng)
        radius *= 1.3
    else:
        x, y = scene.spot(rng, radius)
    heat = patch(scene, x, y, radius, rng, 0.55) / np.float32(radius)
    tan = np.asarray((0.74, 0.54, 0.32), np.float32)
    brown = np.asarray((0.30, 0.17, 0.08), np.float32)
    char = 0.05 + 0.06 * fbm(scene.shape, 3 * u, rng, 2)
    image = over(scene.image, 0.85 * smoothstep(0.0, 0.14, heat), clip(scene.image * tan))
    image = over(
        image, 0.92 * smoothstep(0.08, 0.28, heat), clip(0.6 * brown + 0.4 * image * brown)
    )
    image = over(image, smoothstep(0.30, 0.46, heat), np.repeat(char[..., None], 3, axis=2))
    return Layer(image, smoothstep(0.0, 0.09, heat), 0.4)


def _leak(scene: Scene, rng: np.random.Generator) -> FloatArray:
    """Light that came in at one side of the picture: (H, W) intensity, 1 at the edge."""
    h, w = scene.shape
    u = scene.unit
    ys, xs = grid(scene.shape)
    depth, along = ((xs, ys), (w - xs, ys), (ys, xs), (h - ys, xs))[int(rng.integers(4))]
    span = h if along is ys else w
    middle, spread = pick(rng, 0.2, 0.8) * span, pick(rng, 0.22, 0.5) * span
    reach = pick(rng, 45, 85) * u * np.exp(-(((along - middle) / spread) ** 2))
    reach = reach * (0.7 + 0.6 * fbm(scene.shape, 70 * u, rng, 2))
    return np.exp(-((depth / np.maximum(reach, 1.0)) ** 2)).astype(np.float32)


def light_leak(scene: Scene, rng: np.random.Generator) -> Layer:
    """Fogging from an edge: red to yellow-white on color material, pale on black and white."""
    glow = _leak(scene, rng)
    # Inside a tilted plate the picture's edge is not the object's, so the light may miss it.
    if not ((glow > 0.3) & scene.inside).sum() > 0.02 * scene.inside.sum():
        x, y, _heading = scene.rim_spot(rng)
        field = patch(scene, x, y, 70 * scene.unit, rng, 0.3)
        glow = smoothstep(0.0, 60 * scene.unit, field)
    if scene.material == "Film emulsion":
        light = blend((1.0, 0.24, 0.06), (1.0, 0.86, 0.52), smoothstep(0.35, 1.0, glow))
    else:
        light = blend((0.93, 0.78, 0.58), (1.0, 0.97, 0.90), smoothstep(0.2, 0.9, glow))
    fogged = 1 - (1 - scene.image) * (1 - light * np.float32(0.85))
    alpha = np.clip(1.15 * glow, 0, 1).astype(np.float32)
    return Layer(clip(over(fogged, np.full(scene.shape, 0.5, np.float32), light)), alpha, 0.2)
