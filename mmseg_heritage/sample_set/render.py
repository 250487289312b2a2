"""Paints one planned image: object, backdrop, damages, and the photograph of it all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mmseg_heritage.sample_set.artworks.all_artworks import MAKERS
from mmseg_heritage.sample_set.artworks.artwork import clip
from mmseg_heritage.sample_set.artworks.scene import Scene, place
from mmseg_heritage.sample_set.damages.all_damages import CLASS_IDS, PAINTERS
from mmseg_heritage.sample_set.damages.damage import lay
from mmseg_heritage.sample_set.noise import (
    FloatArray,
    blur,
    child_rng,
    grid,
    pick,
    value_noise,
)
from mmseg_heritage.sample_set.plan import ImagePlan

_OBJECT, _DAMAGE, _CAMERA = 2, 3, 4
"""Purposes of random streams; 0 and 1 belong to :mod:`plan`."""

_ATTEMPTS = 4


@dataclass
class Rendered:
    """One finished image.

    Attributes:
        kind: What a catalogue would call the object, e.g. ``Painting``.
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, 0..15, and 255 around the object.
    """

    kind: str
    image: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8]


def undamaged(plan: ImagePlan, seed: int) -> tuple[str, Scene]:
    """Returns the kind of object and the scene before any damage."""
    rng = child_rng(seed, _OBJECT, plan.index)
    artwork = MAKERS[plan.material, plan.content](plan.shape, rng)
    return artwork.kind, place(artwork, plan.material, rng)


def _damage(scene: Scene, plan: ImagePlan, seed: int) -> None:
    """Paints the planned damages; one that misses the object or was buried is painted again."""
    enough = max(12, scene.mask.size // 4000)
    for attempt in range(_ATTEMPTS):
        for name in plan.damages:
            class_id = CLASS_IDS[name]
            if np.count_nonzero(scene.mask == class_id) >= enough:
                continue
            rng = child_rng(seed, _DAMAGE, plan.index, class_id, attempt)
            lay(scene, PAINTERS[name](scene, rng), class_id)


def _photographed(image: FloatArray, unit: float, rng: np.random.Generator) -> FloatArray:
    """Uneven light, a soft lens, sensor noise."""
    shape = (image.shape[0], image.shape[1])
    ys, xs = grid(shape)
    slope_x, slope_y = pick(rng, -0.10, 0.10), pick(rng, -0.10, 0.10)
    light = 1.0 + slope_x * (xs / shape[1] - 0.5) + slope_y * (ys / shape[0] - 0.5)
    light = light + 0.06 * (value_noise(shape, 120 * unit, rng) - 0.5)
    soft = blur(image * light[..., None].astype(np.float32), min(max(0.5 * unit, 0.35), 1.0))
    return clip(soft + 0.010 * rng.standard_normal(image.shape).astype(np.float32))


def render(plan: ImagePlan, seed: int) -> Rendered:
    """Paints an image and its mask."""
    kind, scene = undamaged(plan, seed)
    _damage(scene, plan, seed)
    picture = _photographed(scene.image, scene.unit, child_rng(seed, _CAMERA, plan.index))
    return Rendered(kind, np.round(picture * 255).astype(np.uint8), scene.mask)
