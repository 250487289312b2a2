"""What each image of the sample set shows: object, size and damages, and who is in which split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np

from mmseg_heritage.sample_set.artworks.all_artworks import MAKERS
from mmseg_heritage.sample_set.damages.all_damages import CLASS_IDS, PAINTERS, plausible
from mmseg_heritage.sample_set.noise import Shape, child_rng, pick

_PLAN, _SPLIT = 0, 1
"""Purposes of random streams, so that none is used twice (see :func:`noise.child_rng`)."""

_LARGE = frozenset(
    {"Material loss", "Peel", "Dirt", "Staining", "Burn marks", "Lightleak", "Sticker"}
)


@dataclass(frozen=True)
class ImagePlan:
    """One image before it is painted; ``damages`` are class names in the order of painting."""

    index: int
    material: str
    content: str
    shape: Shape
    damages: tuple[str, ...]

    @property
    def id(self) -> str:
        """File name without suffix."""
        return f"sample_{self.index:04d}"


def _shape(material: str, content: str, size: int, rng: np.random.Generator) -> Shape:
    """Draws height and width; the long edge is ``size`` to 1.25 times that."""
    long = round(size * pick(rng, 1.0, 1.25))
    short = round(long * (1.0, 0.84, 0.75, 0.68)[int(rng.integers(4))])
    upright = rng.random() < 0.5
    if (material, content) == ("Ceramic", "Artistic depiction"):  # a round plate
        short = long
    if material in ("Wood", "Parchment") or (material, content) == (
        "Tesserae",
        "Artistic depiction",
    ):
        upright = True
    if material == "Film emulsion":
        upright = False
    return (long, short) if upright else (short, long)


def _damages(
    material: str, content: str, used: Counter[str], number: int, rng: np.random.Generator
) -> tuple[str, ...]:
    """Draws plausible damages, the least used so far first, at most two that cover much."""
    names = [name for name in PAINTERS if plausible(name, material, content)]
    lot = rng.random(len(names))
    order = sorted(range(len(names)), key=lambda i: used[names[i]] + 1.2 * float(lot[i]))
    chosen: list[str] = []
    for i in order:
        crowded = names[i] in _LARGE and sum(name in _LARGE for name in chosen) == 2
        if len(chosen) < number and not crowded:
            chosen.append(names[i])
    return tuple(name for name in PAINTERS if name in chosen)


def plan_images(num_images: int, size: int, seed: int) -> list[ImagePlan]:
    """Plans a set. Image k depends on ``seed``, ``size`` and the images before it only."""
    combos = list(MAKERS)
    used: Counter[str] = Counter()
    plans = []
    for k in range(num_images):
        rng = child_rng(seed, _PLAN, k)
        material, content = combos[k % len(combos)]
        shape = _shape(material, content, size, rng)
        damages = _damages(material, content, used, (2, 3, 3, 4, 4)[int(rng.integers(5))], rng)
        used.update(damages)
        plans.append(ImagePlan(k, material, content, shape, damages))
    return plans


_WEIGHTS = (1000.0, 10.0, 1000.0)
"""Cost of a class missing in train, val, test."""


def split_ids(damages: Mapping[str, Set[str]], seed: int) -> dict[str, list[str]]:
    """Splits about 60/15/25 % so that every class of three or more images is in train and test.

    A random split is repaired by exchanging pairs of images for as long as that brings a missing
    class into a part. Sets so small that a part cannot hold all classes come as near as this gets.

    Args:
        damages: Image id -> names of the classes in its mask.
        seed: Seed of the first, random split.

    Returns:
        ``train``, ``val`` and ``test``, each a sorted list of at least one id.
    """
    ids = sorted(damages)
    classes = list(CLASS_IDS)
    has = np.array([[name in damages[key] for name in classes] for key in ids], dtype=np.int64)
    needed = has.sum(axis=0) >= 3
    counts = [0, max(1, round(0.15 * len(ids))), max(1, round(0.25 * len(ids)))]
    counts[0] = len(ids) - counts[1] - counts[2]
    part = np.repeat(np.arange(3), counts)
    rng = child_rng(seed, _SPLIT)
    part = part[np.argsort(rng.random(len(ids)), kind="stable")]

    def cost(of_part: np.ndarray) -> float:
        present = np.stack([has[of_part == p].sum(axis=0) > 0 for p in range(3)])
        return float(np.dot(_WEIGHTS, (~present & needed).sum(axis=1)))

    now = cost(part)
    while now > 0:
        best, swap = now, None
        for p in range(3):
            lacking = needed & (has[part == p].sum(axis=0) == 0)
            givers = np.nonzero((part != p) & (has[:, lacking].sum(axis=1) > 0))[0]
            for i in givers:
                for j in np.nonzero(part == p)[0]:
                    trial = part.copy()
                    trial[i], trial[j] = part[j], part[i]
                    after = cost(trial)
                    if after < best:
                        best, swap = after, trial
        if swap is None:
            break
        part, now = swap, best
    return {
        name: [key for key, where in zip(ids, part, strict=True) if where == p]
        for p, name in enumerate(("train", "val", "test"))
    }
