"""Pictures with light and depth, as smooth RGB: landscape, portrait, still life.

A design knows nothing of its material; the ``artworks_*`` modules turn it into paint, stone, thread
or film.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mmseg_heritage.sample_set.noise import (
    FloatArray,
    Shape,
    blur,
    fbm,
    grid,
    pick,
    ridge,
    smoothstep,
)
from mmseg_heritage.sample_set.strokes import (
    Color,
    Stencil,
    blob,
    curve,
    ellipse,
    over,
    points,
)

Design = Callable[[Shape, np.random.Generator], FloatArray]
"""(shape, rng) -> (H, W, 3) float32 in 0..1."""


def flat(shape: Shape, color: Color) -> FloatArray:
    """Returns one color everywhere."""
    return np.broadcast_to(np.asarray(color, np.float32), (*shape, 3)).copy()


def blend(low: Color, high: Color, t: FloatArray) -> FloatArray:
    """Mixes two colors by a field of 0..1: (H, W, 3)."""
    a, b = np.asarray(low, np.float32), np.asarray(high, np.float32)
    return a + t[..., None] * (b - a)


def toned(color: Color, factor: float) -> Color:
    """Makes a color lighter or darker."""
    r, g, b = (min(1.0, factor * c) for c in color)
    return r, g, b


def choose(rng: np.random.Generator, options: tuple[Color, ...]) -> Color:
    """Picks one of several colors."""
    return options[int(rng.integers(len(options)))]


def ball(
    image: FloatArray, x: float, y: float, radius: float, color: Color, squash: float = 1.0
) -> FloatArray:
    """Paints a round body lit from the upper left, with its reflex and highlight."""
    shape = (image.shape[0], image.shape[1])
    ys, xs = grid(shape)
    u, v = (xs - x) / radius, (ys - y) / (radius * squash)
    height = np.sqrt(np.clip(1.0 - u * u - v * v, 0.0, 1.0))
    light = np.clip(-0.5 * u - 0.6 * v + 0.65 * height, 0.0, 1.0)
    shade = 0.28 + 0.85 * light
    body = np.asarray(color, np.float32) * shade[..., None] + 0.35 * (light[..., None] ** 12)
    alpha = Stencil(shape).disc(x, y, radius, squash).alpha()
    return over(image, alpha, np.clip(body, 0, 1).astype(np.float32))


_SKIES: tuple[tuple[Color, Color, Color, Color], ...] = (  # zenith, horizon, far, near
    ((0.30, 0.47, 0.70), (0.93, 0.84, 0.68), (0.50, 0.60, 0.66), (0.23, 0.33, 0.16)),
    ((0.36, 0.33, 0.50), (0.95, 0.66, 0.42), (0.50, 0.42, 0.50), (0.24, 0.20, 0.14)),
    ((0.48, 0.60, 0.68), (0.90, 0.89, 0.80), (0.58, 0.66, 0.64), (0.40, 0.40, 0.18)),
    ((0.24, 0.34, 0.46), (0.78, 0.75, 0.62), (0.36, 0.44, 0.46), (0.30, 0.24, 0.12)),
)


def _tree(
    image: FloatArray, x: float, foot: float, height: float, rng: np.random.Generator
) -> FloatArray:
    """A trunk with a crown of leaf clusters, darker at the lower right."""
    shape = (image.shape[0], image.shape[1])
    trunk = points((x, foot), (x + 0.04 * height, foot - 0.55 * height))
    bark = Stencil(shape).taper(trunk, 0.09 * height, 0.05 * height).alpha()
    image = over(image, bark, (0.20, 0.14, 0.09))
    leaf = choose(rng, ((0.22, 0.33, 0.14), (0.38, 0.36, 0.13), (0.48, 0.28, 0.10)))
    offsets = [(pick(rng, -0.26, 0.26), pick(rng, -0.95, -0.45)) for _ in range(14)]
    for dx, dy in sorted(offsets, key=lambda offset: offset[0] + offset[1], reverse=True):
        tone = 0.7 - 0.7 * dx - 0.45 * (dy + 0.7)
        crown = blob(x + dx * height, foot + dy * height, 0.15 * height, rng, 0.35)
        shaded = tuple(min(1.0, c * (0.55 + 0.7 * tone)) for c in leaf)
        image = over(
            image, Stencil(shape).polygon(crown).alpha(), (shaded[0], shaded[1], shaded[2])
        )
    return image


def _house(image: FloatArray, x: float, foot: float, size: float) -> FloatArray:
    """A cottage seen from its corner: lit gable, shaded side, red roof, door and window."""
    shape = (image.shape[0], image.shape[1])
    roof = foot - 0.7 * size
    parts: tuple[tuple[Color, tuple[tuple[float, float], ...]], ...] = (
        ((0.86, 0.80, 0.68), ((0, 0), (0.7, 0), (0.7, -0.7), (0.35, -1.15), (0, -0.7))),
        ((0.60, 0.54, 0.46), ((0.7, 0), (1.8, -0.06), (1.8, -0.66), (0.7, -0.7))),
        ((0.52, 0.24, 0.16), ((0.3, -1.2), (1.5, -1.12), (1.9, -0.62), (0.68, -0.66))),
        ((0.24, 0.18, 0.14), ((0.24, 0), (0.24, -0.42), (0.46, -0.42), (0.46, 0))),
        ((0.22, 0.24, 0.28), ((1.1, -0.2), (1.1, -0.46), (1.4, -0.46), (1.4, -0.2))),
    )
    for color, corners in parts:
        outline = points(*((x + a * size, foot + b * size) for a, b in corners))
        image = over(image, Stencil(shape).polygon(outline).alpha(), color)
    smoke = curve(
        points(
            (x + 1.2 * size, roof),
            (x + 1.3 * size, roof - 0.4 * size),
            (x + 1.1 * size, roof - 0.9 * size),
            (x + 1.5 * size, roof - 1.4 * size),
        )
    )
    plume = blur(Stencil(shape).taper(smoke, 0.08 * size, 0.3 * size).alpha(), 0.1 * size)
    return over(image, 0.35 * plume, (0.85, 0.85, 0.85))


def landscape(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Sky with clouds and sun, ranges of hills, a river, trees and a cottage."""
    h, w = shape
    size = min(h, w)
    zenith, horizon, far, near = _SKIES[int(rng.integers(len(_SKIES)))]
    ys, xs = grid(shape)
    skyline = h * pick(rng, 0.42, 0.55)
    image = blend(zenith, horizon, smoothstep(0, skyline, ys))
    cloud = smoothstep(0.5, 0.85, fbm(shape, (0.16 * size, 0.4 * size), rng))
    image = over(image, 0.75 * cloud, (0.97, 0.94, 0.88))
    sun_x, sun_y = w * pick(rng, 0.15, 0.85), skyline * pick(rng, 0.3, 0.75)
    glow = np.exp(-((xs - sun_x) ** 2 + (ys - sun_y) ** 2) / (0.16 * size) ** 2)
    image = over(image, (0.6 * glow).astype(np.float32), (1.0, 0.90, 0.66))
    image = over(image, Stencil(shape).disc(sun_x, sun_y, 0.045 * size).alpha(), (1.0, 0.96, 0.82))

    ranges = 4
    for i in range(ranges):
        t = i / (ranges - 1)
        top = skyline + (h - skyline) * (0.55 * t) ** 1.2
        rise = size * (0.22 - 0.12 * t)
        line = top - rise * (ridge(w, w * (0.5 - 0.2 * t), rng, 4 - i // 2) - 0.35)
        below = smoothstep(-0.7, 0.7, ys - line[None, :])
        lit = 0.82 + 0.36 * fbm(shape, (0.06 * size, 0.16 * size), rng)
        tone = blend(far, near, np.full(shape, t, np.float32)) * lit[..., None]
        image = over(image, below, tone)
    if rng.random() < 0.6:
        bend = pick(rng, 0.3, 0.7) * w
        bed = curve(
            points(
                (bend + 0.1 * w, 0.70 * h),
                (bend - 0.1 * w, 0.77 * h),
                (bend + 0.15 * w, 0.88 * h),
                (bend - 0.1 * w, 1.05 * h),
            )
        )
        river = Stencil(shape).taper(bed, 0.015 * size, 0.2 * size).alpha()
        image = over(image, river, blend(horizon, zenith, smoothstep(0.7 * h, h, ys)))
    image = _house(image, w * pick(rng, 0.15, 0.6), h * pick(rng, 0.74, 0.82), 0.11 * size)
    for _ in range(int(rng.integers(2, 4))):
        x = w * (pick(rng, 0.04, 0.3) if rng.random() < 0.5 else pick(rng, 0.7, 0.96))
        image = _tree(image, x, h * pick(rng, 0.8, 0.97), size * pick(rng, 0.35, 0.6), rng)
    return image


def face(image: FloatArray, x: float, y: float, r: float, skin: Color) -> FloatArray:
    """Head of half-width ``r`` at (x, y), lit from the left, with soft features."""
    shape = (image.shape[0], image.shape[1])
    ys, xs = grid(shape)
    u, v = (xs - x) / r, (ys - y) / (1.32 * r)
    lit = 0.62 + 0.48 * np.sqrt(np.clip(1 - u * u - v * v, 0, 1)) - 0.26 * u - 0.05 * v
    tone = np.clip(np.asarray(skin, np.float32) * lit[..., None], 0, 1).astype(np.float32)
    image = over(image, Stencil(shape).disc(x, y, r, 1.32).alpha(), tone)
    soft = 0.05 * r
    dark: Color = (0.20, 0.12, 0.09)
    for side in (-1, 1):
        eye = x + 0.4 * side * r + 0.04 * r
        socket = blur(Stencil(shape).disc(eye, y - 0.10 * r, 0.24 * r, 0.6).alpha(), 2 * soft)
        image = over(image, 0.35 * socket, dark)
        white = Stencil(shape).disc(eye, y - 0.08 * r, 0.17 * r, 0.5).alpha()
        image = over(image, 0.75 * white, (0.88, 0.84, 0.78))
        iris = Stencil(shape).disc(eye + 0.03 * r, y - 0.08 * r, 0.09 * r).alpha()
        image = over(image, 0.95 * iris, (0.10, 0.08, 0.07))
        brow = ellipse(eye, y - 0.2 * r, 0.26 * r, 0.16 * r, 205, 335)
        image = over(image, 0.7 * blur(Stencil(shape).line(brow, 0.08 * r).alpha(), soft), dark)
    nose = points((x + 0.1 * r, y - 0.1 * r), (x + 0.2 * r, y + 0.38 * r), (x, y + 0.44 * r))
    image = over(image, 0.5 * blur(Stencil(shape).line(nose, 0.09 * r).alpha(), soft), dark)
    lips = Stencil(shape).disc(x + 0.03 * r, y + 0.74 * r, 0.27 * r, 0.3).alpha()
    image = over(image, 0.7 * blur(lips, soft), (0.58, 0.22, 0.19))
    mouth = ellipse(x + 0.03 * r, y + 0.68 * r, 0.28 * r, 0.07 * r, 10, 170)
    return over(image, 0.7 * blur(Stencil(shape).line(mouth, 0.06 * r).alpha(), soft), dark)


def portrait(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Head and shoulders before a dim ground."""
    h, w = shape
    r = 0.15 * min(h, w) * pick(rng, 0.95, 1.15)
    x, y = w * pick(rng, 0.44, 0.56), h * 0.36
    ys, xs = grid(shape)
    ground = choose(rng, ((0.30, 0.24, 0.17), (0.22, 0.28, 0.27), (0.34, 0.20, 0.16)))
    light = 0.75 + 0.8 * np.exp(-((xs - 0.2 * w) ** 2 + (ys - 0.4 * h) ** 2) / (0.6 * w) ** 2)
    smoke = 0.8 + 0.4 * fbm(shape, 0.3 * h, rng)
    image = np.clip(flat(shape, ground) * (light * smoke)[..., None], 0, 1).astype(np.float32)

    hair = choose(rng, ((0.16, 0.10, 0.07), (0.35, 0.22, 0.11), (0.45, 0.42, 0.38)))
    image = over(image, Stencil(shape).disc(x, y - 0.15 * r, 1.28 * r, 1.2).alpha(), hair)
    if rng.random() < 0.5:  # long hair, down to the shoulders
        mane = Stencil(shape).polygon(blob(x, y + 0.8 * r, 1.4 * r, rng, 0.06)).alpha()
        image = over(image, mane, hair)
    cloth = choose(
        rng, ((0.45, 0.12, 0.12), (0.15, 0.22, 0.36), (0.15, 0.13, 0.12), (0.20, 0.32, 0.22))
    )
    bust = curve(
        points(
            (x - 3.2 * r, h + 5),
            (x - 2.5 * r, y + 2.9 * r),
            (x - 0.9 * r, y + 1.9 * r),
            (x, y + 1.75 * r),
            (x + 0.9 * r, y + 1.9 * r),
            (x + 2.5 * r, y + 2.9 * r),
            (x + 3.2 * r, h + 5),
        )
    )
    shade = np.clip(1.15 - 0.22 * (xs - x) / r, 0.45, 1.5) * (0.75 + 0.5 * fbm(shape, r, rng))
    robe = np.clip(flat(shape, cloth) * shade[..., None], 0, 1).astype(np.float32)
    image = over(image, Stencil(shape).polygon(bust).alpha(), robe)
    skin: Color = choose(rng, ((0.88, 0.68, 0.54), (0.80, 0.58, 0.43), (0.60, 0.41, 0.29)))
    neck = points(
        (x - 0.55 * r, y + 0.8 * r),
        (x + 0.55 * r, y + 0.8 * r),
        (x + 0.7 * r, y + 2.0 * r),
        (x, y + 2.5 * r),
        (x - 0.7 * r, y + 2.0 * r),
    )
    dim = (0.72 * skin[0], 0.68 * skin[1], 0.66 * skin[2])
    image = over(image, Stencil(shape).polygon(neck).alpha(), dim)
    collar = curve(
        points((x - 0.85 * r, y + 1.85 * r), (x, y + 2.65 * r), (x + 0.85 * r, y + 1.85 * r))
    )
    image = over(image, Stencil(shape).line(collar, 0.32 * r).alpha(), (0.90, 0.87, 0.79))
    image = face(image, x, y, r, skin)
    fringe = ellipse(x, y - 0.25 * r, 1.08 * r, 1.15 * r, 190, 350)
    return over(image, Stencil(shape).line(fringe, 0.36 * r).alpha(), hair)


def still_life(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """A jug, a bowl and fruit on a table with a cloth."""
    h, w = shape
    s = min(h, w)
    ys, xs = grid(shape)
    edge = 0.62 * h
    wall = choose(rng, ((0.33, 0.28, 0.21), (0.27, 0.31, 0.31), (0.42, 0.33, 0.24)))
    light = 0.65 + 0.7 * smoothstep(w, 0, xs + 0.4 * ys) + 0.15 * fbm(shape, 0.25 * s, rng)
    image = np.clip(flat(shape, wall) * light[..., None], 0, 1).astype(np.float32)
    cloth = choose(rng, ((0.78, 0.74, 0.66), (0.45, 0.24, 0.16), (0.36, 0.40, 0.32)))
    folds = 0.7 + 0.5 * fbm(shape, (0.5 * s, 0.08 * s), rng, 3)
    top = np.clip(flat(shape, cloth) * folds[..., None], 0, 1).astype(np.float32)
    image = over(image, smoothstep(-1, 1, ys - edge - 0.03 * s * (xs / w)), top)

    def shadow(picture: FloatArray, x: float, y: float, r: float) -> FloatArray:
        dark = Stencil(shape).disc(x + 0.5 * r, y, 1.25 * r, 0.28).alpha()
        return over(picture, 0.55 * blur(dark, 0.12 * r), (0.08, 0.06, 0.05))

    jug_x, jug_y, jug = w * pick(rng, 0.28, 0.4), edge - 0.02 * s, 0.15 * s
    glaze = choose(rng, ((0.30, 0.42, 0.55), (0.62, 0.42, 0.24), (0.70, 0.68, 0.60)))
    image = shadow(image, jug_x, jug_y + jug, jug)
    handle = ellipse(jug_x + 0.75 * jug, jug_y - 1.3 * jug, 0.6 * jug, 0.75 * jug, -100, 100)
    dim = (0.55 * glaze[0], 0.55 * glaze[1], 0.55 * glaze[2])
    image = over(image, Stencil(shape).line(handle, 0.2 * jug).alpha(), dim)
    image = ball(image, jug_x, jug_y - 1.2 * jug, 0.5 * jug, glaze, 1.6)
    image = ball(image, jug_x, jug_y, jug, glaze, 1.05)
    image = over(image, Stencil(shape).disc(jug_x, jug_y - 1.9 * jug, 0.46 * jug, 0.3).alpha(), dim)

    fruits = ((0.82, 0.42, 0.10), (0.70, 0.14, 0.10), (0.62, 0.62, 0.18), (0.85, 0.68, 0.20))
    spots = [(0.52, 0.03), (0.66, -0.02), (0.60, 0.10), (0.78, 0.07), (0.44, 0.15), (0.86, 0.0)]
    for dx, dy in spots[: int(rng.integers(4, 7))]:
        r = s * pick(rng, 0.06, 0.085)
        x, y = w * (dx + pick(rng, -0.02, 0.02)), edge + s * dy + 0.04 * s
        image = ball(shadow(image, x, y + 0.9 * r, r), x, y, r, choose(rng, fruits), 0.95)
        stem = Stencil(shape).line(points((x, y - 0.8 * r), (x + 0.2 * r, y - 1.15 * r)), 0.1 * r)
        image = over(image, stem.alpha(), (0.20, 0.14, 0.07))
    return image
