"""Damage to the body of the object: losses, peeling, scratches, folds, cracks, punctures."""

from __future__ import annotations

import numpy as np

from mmseg_heritage.sample_set.artworks.artwork import clip
from mmseg_heritage.sample_set.artworks.designs import flat
from mmseg_heritage.sample_set.artworks.scene import Scene
from mmseg_heritage.sample_set.damages.damage import Layer, patches, tone, with_contrast
from mmseg_heritage.sample_set.noise import (
    Cells,
    FloatArray,
    blur,
    fbm,
    grid,
    pick,
    shift,
    smoothstep,
    value_noise,
    warped,
)
from mmseg_heritage.sample_set.strokes import Points, Stencil, blob, over, wander


def _whole_tesserae(scene: Scene, alpha: FloatArray) -> FloatArray:
    """Loses stones whole: those of which the patch covers more than half."""
    if scene.cells is None:
        return alpha
    number = scene.cells.ravel()
    size = np.maximum(np.bincount(number), 1)
    covered = np.bincount(number, weights=alpha.ravel() > 0.5, minlength=len(size))
    return blur((covered / size > 0.5)[scene.cells].astype(np.float32), 0.4)


def material_loss(scene: Scene, rng: np.random.Generator) -> Layer:
    """Ragged holes down to the support, a step of ground at the rim, a shadow along the step."""
    u = scene.unit
    field = patches(scene, int(rng.integers(1, 4)), (13, 30), rng, 0.6, at_rim=0.45)
    alpha = _whole_tesserae(scene, smoothstep(-0.7, 0.7, field))
    floor = with_contrast(scene, scene.support, alpha)
    if scene.material in ("Canvas", "Wood", "Lime plaster", "Ceramic", "Textile"):
        step = smoothstep(5 * u, 1.5 * u, field + 3 * u * (fbm(scene.shape, 8 * u, rng) - 0.5))
        floor = over(floor, step, with_contrast(scene, scene.beneath, alpha))
    shadow = alpha * (1 - shift(alpha, 2.5 * u, 2.5 * u))
    return Layer(clip(floor * (1 - 0.55 * blur(shadow, 0.6 * u))[..., None]), alpha)


def peel(scene: Scene, rng: np.random.Generator) -> Layer:
    """Flakes have come off along cracks: the layer beneath, a lit curled edge, a shadow."""
    u = scene.unit
    ys, xs = warped(scene.shape, 4 * u, 14 * u, rng)
    flakes = Cells(ys, xs, pick(rng, 7, 11) * u, 0.95, rng)
    field = patches(scene, int(rng.integers(2, 4)), (24, 42), rng, 0.9)
    gone = field + 34 * u * (
        rng.random(len(flakes.centers)).astype(np.float32)[flakes.index] - 0.62
    )
    number = flakes.index.ravel()
    mean = np.bincount(number, weights=gone.ravel()) / np.maximum(np.bincount(number), 1)
    alpha = blur((mean > 0)[flakes.index].astype(np.float32), 0.5)
    floor = with_contrast(scene, scene.beneath, alpha, 0.22)
    shadow = blur(alpha * (1 - shift(alpha, 2.2 * u, 2.2 * u)), 0.5 * u)
    curl = alpha * (1 - shift(alpha, -1.6 * u, -1.6 * u))
    floor = clip(floor * (1 - 0.55 * shadow)[..., None])
    return Layer(over(floor, 0.7 * curl, clip(scene.image * 0.5 + 0.5)), alpha)


def scratch(scene: Scene, rng: np.random.Generator) -> Layer:
    """Straight-ish thin streaks: tramlines along a film, sheaves of nearly parallel ones else."""
    h, w = scene.shape
    u = scene.unit
    stencil = Stencil(scene.shape)
    if scene.material == "Film emulsion" and rng.random() < 0.6:
        x = pick(rng, 0.25, 0.75) * w
        for _ in range(int(rng.integers(2, 5))):
            x += pick(rng, -16, 16) * u
            top, bottom = pick(rng, -0.1, 0.2) * h, pick(rng, 0.7, 1.1) * h
            line = wander(x, top, np.pi / 2, bottom - top, 14 * u, 0.015, rng)
            stencil.taper(line, scene.width(1.2), scene.width(2.0))
    else:
        for _ in range(int(rng.integers(1, 3))):
            x, y = scene.spot(rng, 40 * u)
            heading = pick(rng, 0, np.pi)
            for _ in range(int(rng.integers(2, 6))):
                length = pick(rng, 45, 130) * u
                angle = heading + pick(rng, -0.08, 0.08)
                sx = x + pick(rng, -14, 14) * u - 0.5 * length * np.cos(angle)
                sy = y + pick(rng, -14, 14) * u - 0.5 * length * np.sin(angle)
                line = wander(sx, sy, angle, length, 8 * u, 0.03, rng)
                deepest = len(line) // 2
                stencil.taper(line[: deepest + 1], scene.width(0.9), scene.width(1.8))
                stencil.taper(line[deepest:], scene.width(1.8), scene.width(0.9))
    # The point skips: parts of a scratch are hardly there.
    skips = smoothstep(0.22, 0.4, value_noise(scene.shape, 9 * u, rng))
    alpha = stencil.alpha() * (0.25 + 0.75 * skips)
    bright = tone(scene, alpha) < 0.55
    color = flat(scene.shape, (0.88, 0.86, 0.80) if bright else (0.13, 0.11, 0.09))
    return Layer(color, (0.9 * alpha).astype(np.float32), 0.3)


def fold(scene: Scene, rng: np.random.Generator) -> Layer:
    """Creases across the sheet: lit on one side, shaded on the other, worn along the ridge."""
    h, w = scene.shape
    u = scene.unit
    ys, xs = grid(scene.shape)
    half = scene.width(2.4)
    factor = np.ones(scene.shape, np.float32)
    alpha = np.zeros(scene.shape, np.float32)
    worn = alpha.copy()
    upright = rng.random() < 0.5
    for k in range((1, 1, 2, 2, 3)[int(rng.integers(5))]):
        turn = np.radians(pick(rng, -7, 7) + (90 if upright == (k % 2 == 0) else 0))
        if rng.random() < 0.2:
            turn += np.radians(pick(rng, 20, 50))
        cx, cy = pick(rng, 0.25, 0.75) * w, pick(rng, 0.25, 0.75) * h
        side = np.float32(-np.sin(turn)) * (xs - cx) + np.float32(np.cos(turn)) * (ys - cy)
        side = side + 3.0 * u * (value_noise(scene.shape, 30 * u, rng) - 0.5)
        near = smoothstep(half + 0.8, half - 0.8, np.abs(side))
        lit = smoothstep(-0.8 * u, 0.8 * u, side)
        factor *= 1 + near * (0.30 - 0.72 * lit)
        alpha = np.maximum(alpha, near)
        ridge = smoothstep(1.3 * u, 0.3 * u, np.abs(side))
        worn = np.maximum(worn, ridge * smoothstep(0.4, 0.6, value_noise(scene.shape, 9 * u, rng)))
    creased = clip(scene.image * factor[..., None])
    return Layer(over(creased, 0.75 * worn, (0.93, 0.90, 0.83)), alpha)


def _branching(scene: Scene, rng: np.random.Generator) -> FloatArray:
    """One to three cracks that start at the rim or a blow and fork."""
    u = scene.unit
    stencil = Stencil(scene.shape)
    wiggle = 0.28 if scene.material == "Glass" else 0.5

    def grow(x: float, y: float, heading: float, length: float, width: float, depth: int) -> None:
        path: Points = wander(x, y, heading, length, 6 * u, wiggle, rng)
        stencil.taper(path, width, max(0.7 * width, 1.0))
        if depth == 0:
            return
        for _ in range(int(rng.integers(1, 4))):
            knot = path[int(rng.integers(len(path) // 4, len(path)))]
            side = pick(rng, 0.4, 0.9) * (1 if rng.random() < 0.5 else -1)
            shorter = length * pick(rng, 0.3, 0.55)
            grow(float(knot[0]), float(knot[1]), heading + side, shorter, 0.8 * width, depth - 1)

    for _ in range(int(rng.integers(1, 3))):
        x, y, heading = scene.rim_spot(rng)
        length = pick(rng, 110, 200) * u
        grow(x, y, heading + pick(rng, -0.5, 0.5), length, scene.width(2.4), 2)
    return stencil.alpha()


def _craquelure(scene: Scene, rng: np.random.Generator) -> FloatArray:
    """Network of drying or aging cracks over part of the surface, along the grain on wood."""
    u = scene.unit
    ys, xs = warped(scene.shape, 6 * u, 16 * u, rng)
    squeeze = np.float32(0.5 if scene.material == "Wood" else 1.0)
    islands = Cells(ys * squeeze, xs, pick(rng, 17, 26) * u, 0.95, rng)
    width = scene.width(2.0) * (0.55 + 0.6 * fbm(scene.shape, 20 * u, rng))
    field = patches(scene, 2, (55, 95), rng, 0.6)
    # Each border between two islands is open or not; towards the rim of the patch few are.
    border = islands.index + islands.neighbor  # the same number from both sides
    lot = rng.random(int(border.max()) + 1).astype(np.float32)[border]
    open_ = smoothstep(0.0, 0.12, smoothstep(-4 * u, 30 * u, field) - 0.12 - 0.6 * lot)
    return smoothstep(0.5, -0.5, islands.edge - width / 2) * open_


def cracks(scene: Scene, rng: np.random.Generator) -> Layer:
    """Craquelure or forking cracks: a dark line with a faint light edge (bright on glass)."""
    u = scene.unit
    network = scene.material in ("Canvas", "Wood", "Ceramic", "Lime plaster") and rng.random() < 0.6
    line = _craquelure(scene, rng) if network else _branching(scene, rng)
    if scene.material == "Glass" or tone(scene, line) < 0.18:
        core, edge = flat(scene.shape, (0.93, 0.95, 0.95)), clip(scene.image * 0.4)
    else:
        core, edge = clip(scene.image * 0.25), clip(scene.image * 1.2 + 0.12)
    lip = shift(line, 1.2 * u, 1.2 * u) * (1 - line)
    return Layer(over(edge, line, core), np.maximum(0.95 * line, 0.4 * lip), 0.42)


def puncture(scene: Scene, rng: np.random.Generator) -> Layer:
    """Small dark holes with a raised, lighter rim: nails, pins, worms."""
    u = scene.unit
    holes, rims = Stencil(scene.shape), Stencil(scene.shape)
    in_row = rng.random() < 0.3
    x, y = scene.spot(rng, 30 * u)
    heading = pick(rng, 0, np.pi)
    for k in range(int(rng.integers(4, 9))):
        r = max(pick(rng, 2.4, 4.6) * u, 1.2)
        if in_row:
            cx, cy = x + (k - 3) * 13 * u * np.cos(heading), y + (k - 3) * 13 * u * np.sin(heading)
        else:
            cx, cy = scene.spot(rng, 2 * r)
        holes.polygon(blob(cx, cy, r, rng, 0.22))
        rims.polygon(blob(cx, cy, r + max(1.4 * u, 0.6), rng, 0.15))
    hole, rim = holes.alpha(), rims.alpha()
    dent = shift(rim, -u, -u) * rim
    color = over(clip(scene.image * 0.6), dent, clip(scene.image * 0.7 + 0.26))
    return Layer(over(color, hole, (0.06, 0.05, 0.045)), np.maximum(0.8 * rim, hole), 0.45)
