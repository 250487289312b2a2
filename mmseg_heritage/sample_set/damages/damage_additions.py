"""What people added: writing, stamps, stickers."""

from __future__ import annotations

import numpy as np

from mmseg_heritage.sample_set.artworks.artwork import clip, shaded
from mmseg_heritage.sample_set.artworks.designs import choose, flat
from mmseg_heritage.sample_set.artworks.scene import Scene
from mmseg_heritage.sample_set.damages.damage import Layer, tone
from mmseg_heritage.sample_set.noise import blur, fbm, pick, shift, smoothstep
from mmseg_heritage.sample_set.strokes import (
    Color,
    Points,
    Stencil,
    ellipse,
    handwriting,
    over,
    points,
    text,
    text_on_arc,
    turned,
)

_WORDS = ("MUSEUM", "ARCHIVE", "LIBRARY", "REGISTRY", "CUSTOMS", "STUDIO")


def _number(rng: np.random.Generator) -> str:
    """An inventory number."""
    year, item = int(rng.integers(1871, 1960)), int(rng.integers(1, 400))
    return (f"{year}/{item}", f"{item}-{year % 100}", f"N.{item}")[int(rng.integers(3))]


def writing(scene: Scene, rng: np.random.Generator) -> Layer:
    """Lines of handwriting, a large inventory number, or both, in ink or crayon."""
    u = scene.unit
    stencil = Stencil(scene.shape)
    tilt = pick(rng, -14, 14)
    x, y = scene.spot(rng, 55 * u)
    x = min(max(x, 0.38 * scene.shape[1]), 0.62 * scene.shape[1])
    size = pick(rng, 10, 14) * u
    lines = int(rng.integers(1, 4))
    for k in range(lines):
        length = pick(rng, 80, 130) * u
        for stroke in handwriting(length, size, rng):
            placed = stroke + np.array((-0.5 * length, (k - lines / 2) * 2.2 * size))
            stencil.line(turned(placed, x, y, tilt), scene.width(1.7))
    if lines == 1:
        nx, ny = x, y + (32 if y < 0.5 * scene.shape[0] else -32) * u
        for stroke in text(_number(rng), pick(rng, 13, 19) * u):
            stencil.line(turned(stroke, nx, ny, pick(rng, -1, 1) + tilt), scene.width(2.0))
    alpha = stencil.alpha()
    inks: tuple[Color, ...] = (
        (0.10, 0.12, 0.32),
        (0.08, 0.07, 0.08),
        (0.60, 0.10, 0.10),
        (0.22, 0.22, 0.24),
    )
    if tone(scene, alpha) < 0.36:
        inks = ((0.90, 0.88, 0.83), (0.82, 0.72, 0.55))
    flow = 0.78 + 0.2 * fbm(scene.shape, 14 * u, rng, 3)
    return Layer(flat(scene.shape, choose(rng, inks)), alpha * flow, 0.33)


def _round_stamp(
    radius: float, word: str, width: float, rng: np.random.Generator
) -> list[tuple[Points, float]]:
    """Two rings with text between them and a number in the middle."""
    strokes = [(ellipse(0, 0, radius, radius), 1.3 * width)]
    strokes.append((ellipse(0, 0, 0.58 * radius, 0.58 * radius), width))
    height = 0.26 * radius
    for line, middle in ((word, -90.0), (word, 90.0)):
        strokes += [(s, width) for s in text_on_arc(line, height, 0.79 * radius, middle)]
    strokes += [(s, width) for s in text(str(int(rng.integers(10, 99))), 0.5 * radius)]
    return strokes


def _box_stamp(
    radius: float, word: str, width: float, rng: np.random.Generator
) -> list[tuple[Points, float]]:
    """A frame with a word above a number."""
    hw, hh = 1.35 * radius, 0.68 * radius
    frame = points((-hw, -hh), (hw, -hh), (hw, hh), (-hw, hh), (-hw, -hh))
    strokes = [(frame, 1.5 * width)]
    height = min(0.42 * radius, 2.2 * hw / len(word))
    strokes += [(s + np.array((0, -0.28 * radius)), width) for s in text(word, height)]
    number = text(_number(rng), 0.38 * radius)
    strokes += [(s + np.array((0, 0.32 * radius)), width) for s in number]
    return strokes


def stamp(scene: Scene, rng: np.random.Generator) -> Layer:
    """An ownership mark in stamping ink: ring or frame with text, unevenly inked."""
    u = scene.unit
    radius = pick(rng, 27, 36) * u
    x, y = scene.spot(rng, radius)
    h, w = scene.shape
    x, y = min(max(x, radius), w - radius), min(max(y, radius), h - radius)
    make = _round_stamp if rng.random() < 0.6 else _box_stamp
    word = _WORDS[int(rng.integers(len(_WORDS)))]
    stencil = Stencil(scene.shape)
    tilt = pick(rng, -25, 25)
    for stroke, width in make(radius, word, scene.width(1.8), rng):
        stencil.line(turned(stroke, x, y, tilt), width)
    alpha = stencil.alpha()
    inks: tuple[Color, ...] = (
        (0.30, 0.14, 0.46),
        (0.14, 0.20, 0.52),
        (0.66, 0.12, 0.14),
        (0.10, 0.10, 0.12),
    )
    if tone(scene, alpha) < 0.33:
        inks = ((0.88, 0.84, 0.90), (0.90, 0.46, 0.42))
    pad = 0.62 + 0.36 * smoothstep(0.25, 0.6, fbm(scene.shape, 12 * u, rng, 4, 0.7))
    return Layer(flat(scene.shape, choose(rng, inks)), alpha * pad, 0.32)


def _label(scene: Scene, rng: np.random.Generator) -> tuple[Points, float, float]:
    """Outline of a paper label around the origin, with its half width and half height."""
    hw, hh = pick(rng, 27, 40) * scene.unit, pick(rng, 16, 24) * scene.unit
    kind = int(rng.integers(3))
    if kind == 0:
        return ellipse(0, 0, hw, hh), 0.8 * hw, 0.8 * hh
    cut = 0.3 * hh if kind == 1 else 0.0
    corners = points(
        (-hw + cut, -hh),
        (hw - cut, -hh),
        (hw, -hh + cut),
        (hw, hh - cut),
        (hw - cut, hh),
        (-hw + cut, hh),
        (-hw, hh - cut),
        (-hw, -hh + cut),
    )
    return corners, hw, hh


def sticker(scene: Scene, rng: np.random.Generator) -> Layer:
    """A pasted paper label: printed border, a number, yellowed glue, a slight shadow."""
    u = scene.unit
    outline, hw, hh = _label(scene, rng)
    x, y = scene.spot(rng, hw)
    h, w = scene.shape
    x, y = min(max(x, 0.8 * hw), w - 0.8 * hw), min(max(y, hh), h - hh)
    tilt = pick(rng, -18, 18)
    alpha = Stencil(scene.shape).polygon(turned(outline, x, y, tilt)).alpha()
    sheets: tuple[Color, ...] = ((0.95, 0.93, 0.86), (0.92, 0.86, 0.68), (0.80, 0.86, 0.90))
    if tone(scene, alpha) > 0.72:
        sheets = ((0.86, 0.72, 0.40), (0.66, 0.78, 0.86), (0.90, 0.62, 0.54))
    print_ink = choose(rng, ((0.14, 0.22, 0.48), (0.62, 0.12, 0.12), (0.14, 0.13, 0.13)))
    aging = 0.90 + 0.14 * fbm(scene.shape, 18 * u, rng)
    label = shaded(flat(scene.shape, choose(rng, sheets)), aging)
    border, ink = Stencil(scene.shape), Stencil(scene.shape)
    for inset, width in ((0.90, 1.6), (0.78, 0.9)):
        border.line(turned(outline * inset, x, y, tilt), scene.width(width), closed=True)
    number = _number(rng)
    height = min(0.62 * hh, 1.55 * hw / len(number))
    for stroke in text(number, height):
        ink.line(turned(stroke, x, y, tilt), scene.width(1.6))
    label = over(
        over(label, 0.85 * border.alpha(), print_ink), 0.9 * ink.alpha(), (0.12, 0.10, 0.12)
    )
    edge = alpha * (1 - shift(alpha, -1.2 * u, -1.2 * u))
    label = over(label, 0.45 * edge, (0.35, 0.28, 0.20))
    # The shadow stays below the mask's threshold: it lies beside the label.
    shadow = 0.3 * blur(shift(alpha, 2.0 * u, 2.0 * u), 1.2 * u) * (1 - alpha)
    color = over(clip(scene.image * 0.3), smoothstep(0.0, 0.5, alpha), label)
    return Layer(color, np.maximum(alpha, shadow), 0.5)
