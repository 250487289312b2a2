"""Flat pictures in outline and color: a saint, a bird, a bouquet, and geometric patterns."""

from __future__ import annotations

import numpy as np

from mmseg_heritage.sample_set.artworks.designs import choose, face, flat, toned
from mmseg_heritage.sample_set.noise import FloatArray, Shape, fbm, grid, pick, smoothstep
from mmseg_heritage.sample_set.strokes import (
    Color,
    Stencil,
    curve,
    ellipse,
    over,
    points,
)


def saint(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """A standing robed figure with a halo on a plain (gold, blue or plaster) ground."""
    h, w = shape
    s = min(h, w)
    x, r = w * pick(rng, 0.46, 0.54), 0.095 * s
    y = 0.27 * h
    image = flat(shape, choose(rng, ((0.80, 0.62, 0.26), (0.30, 0.42, 0.58), (0.78, 0.66, 0.44))))
    image *= (0.88 + 0.24 * fbm(shape, 0.12 * s, rng))[..., None]
    floor = smoothstep(-1, 1, grid(shape)[0] - 0.86 * h)
    image = over(image, floor, choose(rng, ((0.34, 0.40, 0.26), (0.46, 0.30, 0.22))))
    image = over(image, Stencil(shape).disc(x, y, 2.1 * r).alpha(), (0.92, 0.77, 0.36))
    rim = Stencil(shape).line(ellipse(x, y, 2.05 * r, 2.05 * r), 0.16 * r).alpha()
    image = over(image, rim, (0.45, 0.20, 0.10))
    robe = choose(rng, ((0.60, 0.16, 0.13), (0.20, 0.36, 0.30), (0.50, 0.30, 0.14)))
    cloak = choose(rng, ((0.16, 0.24, 0.48), (0.36, 0.15, 0.26), (0.22, 0.22, 0.22)))
    for color, width, bend in ((cloak, 2.6, 0.0), (robe, 1.35, 0.3)):
        body = curve(
            points(
                (x - 0.75 * r, y + 1.15 * r),
                (x - width * r, y + 3.0 * r),
                (x - (width + bend) * r, 0.93 * h),
                (x + (width + bend) * r, 0.93 * h),
                (x + width * r, y + 3.0 * r),
                (x + 0.75 * r, y + 1.15 * r),
            )
        )
        image = over(image, Stencil(shape).polygon(body).alpha(), color)
        for i in range(9):
            foot = x + (i / 4 - 1) * width * r
            fold = curve(
                points(
                    (x + (i / 4 - 1) * 0.6 * r, y + (1.8 + 0.4 * (i % 3)) * r),
                    (foot - 0.2 * r, 0.66 * h),
                    (foot, 0.92 * h),
                )
            )
            tone: Color = (0.06, 0.05, 0.05) if i % 2 else (0.95, 0.88, 0.72)
            stroke = Stencil(shape).taper(fold, 0.10 * r, 0.26 * r).alpha()
            image = over(image, 0.38 * stroke, tone)
    veil = Stencil(shape).disc(x, y, 1.25 * r, 1.25).alpha()
    image = over(image, veil, choose(rng, (cloak, (0.30, 0.18, 0.10))))
    image = face(image, x, y + 0.1 * r, 0.88 * r, (0.84, 0.64, 0.47))
    for side in (-1, 1):
        arm = curve(
            points(
                (x + 1.9 * side * r, y + 3.0 * r),
                (x + 1.5 * side * r, y + 4.4 * r),
                (x + 0.15 * side * r, y + 3.6 * r),
            )
        )
        sleeve = Stencil(shape).taper(arm, 1.0 * r, 0.55 * r).alpha()
        image = over(image, 0.9 * sleeve, toned(cloak, 1.25))
        hand = Stencil(shape).disc(x + 0.14 * side * r, y + 3.4 * r, 0.3 * r, 1.4).alpha()
        image = over(image, hand, (0.80, 0.60, 0.44))
    return image


def bird(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """A long-tailed bird on a branch with leaves, within a border."""
    h, w = shape
    s = min(h, w)
    ground = choose(rng, ((0.90, 0.86, 0.74), (0.86, 0.80, 0.62), (0.78, 0.80, 0.76)))
    image = flat(shape, ground)
    cx, cy = 0.5 * w, 0.5 * h
    wood, leaf = (0.36, 0.24, 0.14), (0.24, 0.42, 0.24)
    branch = curve(
        points(
            (0.08 * w, 0.80 * h), (0.35 * w, 0.70 * h), (0.62 * w, 0.74 * h), (0.93 * w, 0.60 * h)
        )
    )
    image = over(image, Stencil(shape).taper(branch, 0.05 * s, 0.02 * s).alpha(), wood)
    for knot in branch[2::3]:
        side = 1 if rng.random() < 0.5 else -1
        tip = knot + np.array((pick(rng, -0.02, 0.07), side * pick(rng, 0.07, 0.11))) * s
        bulge = (knot + tip) / 2 + np.array((0.035, 0.01)) * s
        blade = curve(np.array([knot, bulge, tip, 2 * (knot + tip) / 2 - bulge, knot]))
        image = over(image, Stencil(shape).polygon(blade).alpha(), toned(leaf, pick(rng, 0.8, 1.3)))
    body, wing, breast = (
        choose(rng, ((0.16, 0.36, 0.56), (0.62, 0.20, 0.14), (0.20, 0.45, 0.40))),
        choose(rng, ((0.12, 0.20, 0.38), (0.80, 0.56, 0.16), (0.34, 0.14, 0.14))),
        choose(rng, ((0.90, 0.60, 0.22), (0.92, 0.82, 0.60))),
    )
    tail = points(
        (cx - 0.10 * s, cy + 0.02 * s),
        (cx - 0.40 * s, cy + 0.17 * s),
        (cx - 0.36 * s, cy + 0.24 * s),
        (cx - 0.04 * s, cy + 0.12 * s),
    )
    image = over(image, Stencil(shape).polygon(tail).alpha(), wing)
    shell = curve(
        points(
            (cx - 0.17 * s, cy + 0.08 * s),
            (cx - 0.06 * s, cy - 0.12 * s),
            (cx + 0.12 * s, cy - 0.16 * s),
            (cx + 0.20 * s, cy - 0.02 * s),
            (cx + 0.08 * s, cy + 0.16 * s),
            (cx - 0.17 * s, cy + 0.08 * s),
        )
    )
    image = over(image, Stencil(shape).polygon(shell).alpha(), body)
    image = over(
        image, Stencil(shape).disc(cx + 0.10 * s, cy + 0.05 * s, 0.085 * s).alpha(), breast
    )
    image = over(image, Stencil(shape).disc(cx + 0.17 * s, cy - 0.15 * s, 0.085 * s).alpha(), body)
    beak = points(
        (cx + 0.24 * s, cy - 0.18 * s),
        (cx + 0.33 * s, cy - 0.14 * s),
        (cx + 0.24 * s, cy - 0.11 * s),
    )
    image = over(image, Stencil(shape).polygon(beak).alpha(), (0.86, 0.60, 0.16))
    eye = Stencil(shape).disc(cx + 0.19 * s, cy - 0.17 * s, 0.026 * s).alpha()
    image = over(image, eye, (0.97, 0.95, 0.88))
    pupil = Stencil(shape).disc(cx + 0.195 * s, cy - 0.17 * s, 0.013 * s).alpha()
    image = over(image, pupil, (0.05, 0.05, 0.05))
    for i in range(4):
        feather = curve(
            points(
                (cx + 0.08 * s, cy - (0.08 - 0.03 * i) * s),
                (cx - 0.05 * s, cy),
                (cx - (0.20 + 0.02 * i) * s, cy + (0.05 + 0.035 * i) * s),
            )
        )
        tint = toned(wing, 0.85 + 0.15 * i)
        image = over(image, Stencil(shape).taper(feather, 0.055 * s, 0.02 * s).alpha(), tint)
    for leg in (0.0, 0.06):
        shank = points((cx + leg * s, cy + 0.13 * s), (cx + (leg + 0.02) * s, cy + 0.235 * s))
        image = over(image, Stencil(shape).line(shank, 0.014 * s).alpha(), (0.30, 0.18, 0.10))
    return image


def bouquet(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """A vase of round flowers on bending stems, flat and decorative."""
    h, w = shape
    s = min(h, w)
    image = flat(shape, choose(rng, ((0.91, 0.89, 0.82), (0.86, 0.80, 0.66), (0.20, 0.26, 0.34))))
    stem, petal = (0.26, 0.42, 0.26), ((0.74, 0.20, 0.18), (0.22, 0.34, 0.62), (0.86, 0.62, 0.20))
    cx = 0.5 * w
    for i in range(7):
        x = cx + (i - 3) * 0.105 * w + pick(rng, -0.02, 0.02) * w
        y = h * (0.22 + 0.035 * abs(i - 3) ** 1.3 + pick(rng, -0.03, 0.05))
        stalk = curve(
            points((cx + (i - 3) * 0.015 * w, 0.66 * h), ((cx + x) / 2, 0.45 * h), (x, y))
        )
        image = over(image, Stencil(shape).line(stalk, 0.013 * s).alpha(), stem)
        bloom, r = choose(rng, petal), s * pick(rng, 0.055, 0.085)
        for k in range(7):
            angle = 2 * np.pi * k / 7
            leaf = (
                Stencil(shape)
                .disc(x + 0.62 * r * np.cos(angle), y + 0.62 * r * np.sin(angle), 0.42 * r)
                .alpha()
            )
            image = over(image, leaf, toned(bloom, 0.85 + 0.06 * (k % 4)))
        image = over(image, Stencil(shape).disc(x, y, 0.36 * r).alpha(), (0.90, 0.74, 0.32))
    vase = curve(
        points(
            (cx - 0.08 * s, 0.62 * h),
            (cx - 0.15 * s, 0.74 * h),
            (cx - 0.07 * s, 0.88 * h),
            (cx + 0.07 * s, 0.88 * h),
            (cx + 0.15 * s, 0.74 * h),
            (cx + 0.08 * s, 0.62 * h),
        )
    )
    image = over(image, Stencil(shape).polygon(vase).alpha(), choose(rng, petal))
    for level in (0.68, 0.80):
        band = points((cx - 0.12 * s, level * h), (cx + 0.12 * s, level * h))
        image = over(image, Stencil(shape).line(band, 0.016 * s).alpha(), (0.93, 0.88, 0.74))
    return image


_PATTERN_COLORS: tuple[tuple[Color, Color, Color, Color], ...] = (
    ((0.88, 0.82, 0.68), (0.56, 0.17, 0.13), (0.17, 0.24, 0.38), (0.76, 0.58, 0.26)),
    ((0.90, 0.89, 0.84), (0.18, 0.30, 0.56), (0.42, 0.58, 0.74), (0.78, 0.62, 0.26)),
    ((0.84, 0.78, 0.62), (0.24, 0.36, 0.28), (0.58, 0.28, 0.16), (0.30, 0.20, 0.16)),
    ((0.80, 0.74, 0.66), (0.28, 0.26, 0.28), (0.54, 0.30, 0.24), (0.62, 0.56, 0.44)),
)


def pattern_colors(rng: np.random.Generator) -> tuple[Color, Color, Color, Color]:
    """Returns a ground and three colors that go with it."""
    return _PATTERN_COLORS[int(rng.integers(len(_PATTERN_COLORS)))]


def _step(x: FloatArray, soft: float) -> FloatArray:
    """1 where ``x`` is above 0, with an edge about ``2 * soft`` wide."""
    return smoothstep(-soft, soft, x)


def tiles(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Repeating tiles: an eight-pointed star, quarter rounds at the corners, thin bands."""
    ground, first, second, third = pattern_colors(rng)
    side = min(shape) / float(rng.integers(3, 6))
    ys, xs = grid(shape)
    u, v = np.abs(xs / side % 1.0 - 0.5), np.abs(ys / side % 1.0 - 0.5)
    soft = 0.7 / side
    image = flat(shape, ground)
    star = np.minimum(np.maximum(u, v), (u + v) / np.float32(np.sqrt(2)))
    corner = np.sqrt((0.5 - u) ** 2 + (0.5 - v) ** 2)
    for level, color in ((0.30, first), (0.245, ground), (0.21, second), (0.11, third)):
        image = over(image, _step(level - star, soft), color)
    for level, color in ((0.24, third), (0.20, ground), (0.16, first), (0.07, ground)):
        image = over(image, _step(level - corner, soft), color)
    band = 0.03 - np.minimum(0.5 - u, 0.5 - v)
    return over(image, _step(band, soft) * _step(corner - 0.24, soft), second)


def carpet(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """A rug: nested borders with stepped motifs, a field of diamonds and a medallion."""
    h, w = shape
    s = min(h, w)
    ground, first, second, third = pattern_colors(rng)
    ys, xs = grid(shape)
    block = s / 84.0  # knots: motifs keep to a coarse grid, as woven ones do
    ys, xs = np.floor(ys / block) * block, np.floor(xs / block) * block
    rim = np.minimum(np.minimum(xs, w - xs), np.minimum(ys, h - ys)) / s
    image = flat(shape, first)
    pitch = s / 7.0
    u, v = np.abs((xs - w / 2) / pitch % 1.0 - 0.5), np.abs((ys - h / 2) / pitch % 1.0 - 0.5)
    for level, color in ((0.40, third), (0.30, second), (0.17, ground)):
        image = over(image, (u + v < level).astype(np.float32), color)
    middle = np.abs(xs - w / 2) / (0.26 * w) + np.abs(ys - h / 2) / (0.26 * h)
    for level, color in ((1.0, ground), (0.9, second), (0.62, third), (0.5, first), (0.2, ground)):
        image = over(image, (middle < level).astype(np.float32), color)
    along = np.where(np.minimum(xs, w - xs) < np.minimum(ys, h - ys), ys, xs)
    wave = np.abs(along / (0.09 * s) % 1.0 - 0.5)
    borders = ((0.19, ground), (0.175, second), (0.055, ground), (0.045, third), (0.018, second))
    for level, color in borders:
        image = over(image, (rim < level).astype(np.float32), color)
    motif = (np.abs(rim - 0.115) / 0.05 + wave / 0.4 < 1.0) & (rim < 0.175)
    image = over(image, motif.astype(np.float32), third)
    core = (np.abs(rim - 0.115) / 0.05 + wave / 0.4 < 0.45) & (rim < 0.175)
    return over(image, core.astype(np.float32), ground)


def rosette(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Rings of petals, triangles and plaits around the middle."""
    ground, first, second, third = pattern_colors(rng)
    ys, xs = grid(shape)
    dy, dx = ys - shape[0] / 2, xs - shape[1] / 2
    half = min(shape) / 2
    r, angle = np.sqrt(dx * dx + dy * dy) / half, np.arctan2(dy, dx)
    soft = 1.0 / half
    fold = 2 * int(rng.integers(4, 7))
    petal = np.abs(np.sin(angle * fold / 4))
    tooth = np.abs(angle * fold * 1.5 / np.pi % 2.0 - 1.0)
    image = flat(shape, ground)
    image = over(image, _step(r - 0.97, soft), second)
    for level, color in ((0.97, first), (0.93, ground), (0.90, second)):
        image = over(image, _step(level - r, soft), color)
    image = over(image, _step(0.72 + 0.17 * tooth - r, soft), ground)
    for level, color in ((0.71, first), (0.68, ground)):
        image = over(image, _step(level - r, soft), color)
    for phase, color in ((0.0, third), (np.pi, second)):
        strand = 0.57 + 0.065 * np.sin(angle * fold + phase)
        image = over(image, _step(0.028 - np.abs(r - strand), soft), color)
    image = over(image, _step(0.46 - r, soft), first)
    image = over(image, _step(0.10 + 0.32 * petal - r, soft), ground)
    image = over(image, _step(0.04 + 0.26 * petal - r, soft), third)
    return over(image, _step(0.10 - r, soft), second)
