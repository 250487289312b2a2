"""What an undamaged object is, and the surfaces and printing techniques that several share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmseg_heritage.sample_set.artworks.designs import Design, flat
from mmseg_heritage.sample_set.noise import (
    FloatArray,
    IntArray,
    Shape,
    blur,
    fbm,
    grid,
    pick,
    relief,
    resample,
    shift,
    smoothstep,
    stretch,
    value_noise,
)
from mmseg_heritage.sample_set.strokes import Color, over


@dataclass
class Artwork:
    """An undamaged object that fills its canvas; the surround is added when it is placed.

    Attributes:
        kind: What a catalogue would call it, e.g. ``Painting``.
        picture: (H, W, 3) float32 in 0..1, its surface.
        beneath: (H, W, 3) float32 in 0..1, the layer that shows where the surface peels.
        support: (H, W, 3) float32 in 0..1, what shows where material is lost.
        forms: Outlines it may have (keys of :data:`placing.OUTLINES`), one is drawn by lot.
        cells: (H, W) int32, number of the tessera at each pixel, for objects made of pieces.
    """

    kind: str
    picture: FloatArray
    beneath: FloatArray
    support: FloatArray
    forms: tuple[str, ...]
    cells: IntArray | None = None


Maker = Callable[[Shape, np.random.Generator], Artwork]
"""(shape, rng) -> Artwork."""


def unit_of(shape: Shape) -> float:
    """Returns the length that is one pixel in an image of 256 pixels; strokes are sized by it."""
    return max(shape) / 288.0


def stroke_width(shape: Shape, width: float) -> float:
    """Scales a line's width with the image, but keeps it wide enough to be seen."""
    return max(width * unit_of(shape), 0.55 * width, 1.0)


def one_of(rng: np.random.Generator, *designs: Design) -> Design:
    """Picks a design."""
    return designs[int(rng.integers(len(designs)))]


def clip(image: FloatArray) -> FloatArray:
    """Keeps colors within 0..1."""
    return np.clip(image, 0.0, 1.0).astype(np.float32)


def shaded(image: FloatArray, factor: FloatArray) -> FloatArray:
    """Multiplies every channel by an (H, W) field."""
    return clip(image * factor[..., None])


def gray(image: FloatArray) -> FloatArray:
    """Returns luma, (H, W)."""
    return (0.30 * image[..., 0] + 0.59 * image[..., 1] + 0.11 * image[..., 2]).astype(np.float32)


def saturated(image: FloatArray, factor: float) -> FloatArray:
    """Makes colors purer (factor above 1) or duller (below 1)."""
    luma = gray(image)[..., None]
    return clip(luma + np.float32(factor) * (image - luma))


def threads(shape: Shape, pitch: float, strength: float, rng: np.random.Generator) -> FloatArray:
    """Plain weave of warp and weft: (H, W) factors around 1."""
    pitch = max(pitch, 2.2)
    ys, xs = grid(shape)
    ys = ys + pitch * (fbm(shape, 12 * pitch, rng, 2) - 0.5)
    xs = xs + pitch * (fbm(shape, 12 * pitch, rng, 2) - 0.5)
    weave = np.sin(np.pi * xs / pitch) * np.sin(np.pi * ys / pitch)
    slubs = value_noise(shape, (pitch, 14 * pitch), rng) + value_noise(
        shape, (14 * pitch, pitch), rng
    )
    return (1.0 + strength * (0.8 * weave + 0.7 * (slubs - 1.0))).astype(np.float32)


def linen(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Raw canvas."""
    return shaded(flat(shape, (0.60, 0.50, 0.37)), threads(shape, 2.6 * unit_of(shape), 0.35, rng))


def timber(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Bare wood with upright grain."""
    u = unit_of(shape)
    rings = value_noise(shape, (160 * u, 26 * u), rng) * 9.0 + value_noise(
        shape, (60 * u, 3 * u), rng
    )
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * rings)
    pores = value_noise(shape, (22 * u, 1.6 * u), rng)
    return shaded(flat(shape, (0.56, 0.38, 0.22)), 0.72 + 0.22 * grain + 0.28 * pores)


def mortar(shape: Shape, rng: np.random.Generator, color: Color = (0.58, 0.51, 0.42)) -> FloatArray:
    """Coarse mortar with grit."""
    u = unit_of(shape)
    grit = fbm(shape, 5 * u, rng, 3, 0.7)
    return shaded(flat(shape, color), (0.74 + 0.42 * fbm(shape, 50 * u, rng)) * relief(grit, 1.6))


def ground_layer(shape: Shape, color: Color, rng: np.random.Generator) -> FloatArray:
    """A priming or plaster layer: nearly one color, slightly cloudy and grainy."""
    u = unit_of(shape)
    return shaded(
        flat(shape, color),
        0.90 + 0.10 * fbm(shape, 30 * u, rng) + 0.06 * fbm(shape, 3 * u, rng, 2),
    )


def paper(shape: Shape, rng: np.random.Generator, color: Color = (0.91, 0.87, 0.77)) -> FloatArray:
    """Old paper: fibers, mottling, edges browned by air."""
    u = unit_of(shape)
    ys, xs = grid(shape)
    rim = np.minimum(np.minimum(xs, shape[1] - xs), np.minimum(ys, shape[0] - ys))
    browning = smoothstep(60 * u, 0, rim + 40 * u * (fbm(shape, 40 * u, rng) - 0.5))
    image = over(flat(shape, color), 0.35 * browning, (0.70, 0.56, 0.38))
    fibers = value_noise(shape, (1.5 * u, 6 * u), rng) + value_noise(shape, (6 * u, 1.5 * u), rng)
    return shaded(image, 0.93 + 0.06 * fbm(shape, 40 * u, rng) + 0.04 * fibers)


def parchment(shape: Shape, rng: np.random.Generator) -> FloatArray:
    """Skin: cloudy yellow, faint follicles, cockled."""
    u = unit_of(shape)
    clouds = fbm(shape, 70 * u, rng, 5)
    image = over(flat(shape, (0.90, 0.83, 0.66)), 0.5 * clouds, (0.78, 0.66, 0.45))
    follicles = smoothstep(0.68, 0.9, value_noise(shape, 2.5 * u, rng)) * fbm(shape, 60 * u, rng, 2)
    cockle = relief(blur(fbm(shape, 55 * u, rng, 2), 4 * u), 4.0 / u)
    return shaded(image, cockle * (1 - 0.14 * follicles))


def brushwork(
    image: FloatArray, reach: float, rng: np.random.Generator, body: float = 1.0
) -> FloatArray:
    """Breaks smooth color into strokes: every dab takes the color of one point nearby.

    ``reach`` is how far a dab carries color (pixels at 256), ``body`` how thick the paint lies.
    """
    shape = (image.shape[0], image.shape[1])
    u = unit_of(shape)
    ys, xs = grid(shape)
    bend = 3.0 * u * (fbm(shape, 40 * u, rng, 2) - 0.5)
    dab_y = value_noise(shape, (2.2 * u, 8 * u), rng)
    dab_x = value_noise(shape, (8 * u, 2.2 * u), rng)
    painted = resample(
        image,
        (ys + bend + reach * u * (dab_y - 0.5)).astype(np.float32),
        (xs - bend + reach * u * (dab_x - 0.5)).astype(np.float32),
    )
    impasto = relief(0.6 * dab_y + 0.4 * value_noise(shape, (1.6 * u, 9 * u), rng), 0.35 * body)
    return shaded(painted, impasto * (1 + 0.12 * body * (dab_x - 0.5)))


def vignette(shape: Shape, depth: float) -> FloatArray:
    """Darkening towards the corners: (H, W) factors from 1 down to ``1 - depth``."""
    ys, xs = grid(shape)
    r = ((xs / shape[1] - 0.5) ** 2 + (ys / shape[0] - 0.5) ** 2) * 2.0
    return (1.0 - depth * r**1.3).astype(np.float32)


def engraved(picture: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Turns a picture into contours and hatching: (H, W) amount of ink in 0..1."""
    shape = (picture.shape[0], picture.shape[1])
    u = max(unit_of(shape), 0.5)
    soft = blur(picture, 0.8 * u)
    step = np.abs(shift(soft, u, 0) - soft).sum(axis=-1) + np.abs(shift(soft, 0, u) - soft).sum(
        axis=-1
    )
    ink = smoothstep(0.07, 0.22, step)
    # A print has paper white and ink black, however dim the picture it was made after.
    tone = stretch(blur(gray(picture), 1.2 * u)) ** np.float32(0.6)
    tone = tone + 0.08 * (fbm(shape, 6 * u, rng, 2) - 0.5)
    ys, xs = grid(shape)
    sway = 6 * u * fbm(shape, 60 * u, rng, 2)
    pitch = pick(rng, 4.2, 5.2) * u
    for threshold, slope in ((0.66, 1.0), (0.42, -0.7), (0.24, 0.1)):
        across = (xs * slope + ys + sway) / np.sqrt(1 + slope * slope)
        wave = np.abs(across / pitch % 1.0 - 0.5) * 2.0
        width = np.clip((threshold - tone) * 1.4, 0.0, 0.42)
        ink = np.maximum(ink, 0.85 * smoothstep(0.16, -0.16, wave - width) * (width > 0.02))
    return clip(ink)
