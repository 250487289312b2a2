"""Painting damage onto a photograph, and its class into the mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmseg_heritage.errors import InputError
from mmseg_heritage.sample_set.artworks.scene import Scene
from mmseg_heritage.sample_set.damages.all_damages import PAINTERS
from mmseg_heritage.sample_set.damages.damage import lay
from mmseg_heritage.taxonomy import ARTEFACT, CLEAN, IGNORE_INDEX, ClassList

PAINTABLE = ("Dust", "Scratch", "Hair")
"""What lies on a surface or runs across it; all else bares layers that no photograph shows."""

_VISIBLE = 0.08  # change of a channel, of 1, from which paint can be told from the surface


@TRANSFORMS.register_module()
class RandomPaintedDamage(BaseTransform):
    """Paints one kind of thin damage of film and glass, and writes its class where it shows.

    The painters are those of the sample set. They paint on Clean pixels only: 255, the background
    and damage stay as they are, the surround of fragments that is annotated as Material loss among
    it. The mask changes where the paint can be seen. Where the class is not trained, what is
    painted becomes 255; at another level it becomes its group.

    Required keys: ``img`` (uint8, (H, W, 3), BGR), ``gt_seg_map`` (uint8, (H, W)), where ids are
    mapped ``label_map``, and of own classes ``mask_classes``, which must have Clean and the kinds
    by these names. Changed keys: ``img``, ``gt_seg_map``.

    Args:
        classes: Names of the kinds to choose from, of :data:`PAINTABLE`.

    Raises:
        InputError: If a kind cannot be painted; or, when an image is painted on, if the data set
            does not have it, or if Clean is not trained, so that nobody can tell where to paint.
    """

    def __init__(self, classes: Sequence[str] = PAINTABLE) -> None:
        unknown = [f"'{name}'" for name in classes if name not in PAINTABLE]
        if isinstance(classes, str) or unknown or not classes:
            raise InputError(
                f"RandomPaintedDamage: classes must be some of {', '.join(PAINTABLE)}; "
                f"found {classes!r}"
            )
        self.classes = tuple(classes)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Paints on the image and marks the mask."""
        mask: np.ndarray = results["gt_seg_map"]
        label_map = results.get("label_map") or {}
        ids = self._mask_values(results.get("mask_classes", ARTEFACT))
        clean_id = label_map.get(ids[CLEAN], ids[CLEAN])
        if clean_id == IGNORE_INDEX:
            raise InputError(
                "RandomPaintedDamage paints on Clean, which this data set ignores; choose another "
                "augmentation than 'film_damage', or another level"
            )
        inside = mask == clean_id
        if not inside.any():
            return results
        name = self.classes[np.random.randint(len(self.classes))]
        generator = np.random.default_rng(np.random.randint(2**31))
        before = np.divide(results["img"][..., ::-1], 255, dtype=np.float32)
        scene = Scene("Film emulsion", before, before, before, inside, np.zeros_like(mask), None)
        lay(scene, PAINTERS[name](scene, generator), 1)
        # Where it shows, not where it covers: half transparent edges of thin marks are damage too.
        seen = inside & (np.abs(scene.image - before).max(axis=2) >= _VISIBLE)
        painted = np.rint(scene.image * 255).astype(np.uint8)[..., ::-1]
        results["img"] = np.ascontiguousarray(painted)
        results["gt_seg_map"] = np.where(seen, np.uint8(label_map.get(ids[name], ids[name])), mask)
        return results

    def _mask_values(self, classes: ClassList) -> dict[str, int]:
        """Returns the mask values of Clean and of what is painted, by name."""
        missing = [f"no class '{n}'" for n in (CLEAN, *self.classes) if n not in classes.names]
        if missing:
            raise InputError(
                "RandomPaintedDamage paints classes of ARTeFACT; choose another augmentation than "
                "'film_damage', or name in 'classes' the kinds that this data set has",
                missing,
            )
        return {c.name: c.id for c in classes.classes}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(classes={self.classes})"
