"""The tiers of augmentation, by name."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import BaseTransform, RandomApply
from mmseg.registry import TRANSFORMS

from mmseg_heritage.errors import InputError

Step = dict[str, Any]

_FLIPS: tuple[Step, ...] = (
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "RandomFlip", "prob": 0.5, "direction": "vertical"},
)
_COLORS: Step = {
    "type": "PhotoMetricDistortion",
    "brightness_delta": 24,
    "contrast_range": (0.75, 1.25),
    "saturation_range": (0.75, 1.25),
    "hue_delta": 8,
}

TIERS: dict[str, tuple[Step, ...]] = {
    "none": (),
    "light": _FLIPS,
    "medium": (*_FLIPS, _COLORS),
    "heavy": (
        *_FLIPS,
        {
            "type": "RandomWarp",
            "rotation": 20,
            "scale": (0.8, 1.25),
            "shear": 6,
            "displacement": 0.02,
            "apply_prob": 0.7,
        },
        {
            "type": "PhotoMetricDistortion",
            "brightness_delta": 36,
            "contrast_range": (0.6, 1.4),
            "saturation_range": (0.5, 1.5),
            "hue_delta": 8,
        },
        {"type": "RandomGrayscale", "prob": 0.1, "keep_channels": True},
        {"type": "RandomBlur", "sigma": (0.3, 1.0), "apply_prob": 0.2},
        {"type": "RandomGrain", "sigma": (1.0, 6.0), "apply_prob": 0.3},
        {"type": "RandomJPEG", "quality": (40, 95), "apply_prob": 0.3},
    ),
    "heritage": (
        *_FLIPS,
        {"type": "RandomWarp", "rotation": 3, "displacement": 0.012, "apply_prob": 0.5},
        {"type": "RandomYellowing", "strength": (0.15, 0.8), "apply_prob": 0.4},
        {"type": "RandomTint", "gain": 0.1, "gamma": (0.8, 1.25), "apply_prob": 0.8},
        {"type": "RandomUnevenLight", "amount": 0.35, "apply_prob": 0.5},
        {"type": "RandomJPEG", "quality": (40, 95), "apply_prob": 0.3},
    ),
    "film_damage": (*_FLIPS, {"type": "RandomPaintedDamage", "apply_prob": 0.3}, _COLORS),
}
"""Tier -> its transforms, in order. ``apply_prob`` is the share of images that a step changes;
``film_damage`` alone adds damage, and says so in the mask."""


@TRANSFORMS.register_module()
class HeritageAugmentation(BaseTransform):
    """Changes image and mask as a tier of :data:`TIERS` says, at random.

    Made for crops: each step costs by the pixel. 255 stays 255, and what a step leaves empty
    becomes 255.

    Required keys: ``img`` (uint8, (H, W, 3), BGR), ``gt_seg_map`` (uint8, (H, W)), ``seg_fields``.
    Changed keys: ``img``, ``gt_seg_map``. Added keys: ``flip``, ``flip_direction``.

    Args:
        tier: 'none', 'light' (flips), 'medium' (and colors), 'heavy' (and warp, blur, grain,
            JPEG), 'heritage' (flips; what aging, scanners and files do) or 'film_damage' (medium,
            and painted dust, scratches and hair in image and mask).

    Raises:
        InputError: If there is no such tier.
    """

    def __init__(self, tier: str = "medium") -> None:
        if not isinstance(tier, str) or tier not in TIERS:
            raise InputError(f"augmentation must be one of {', '.join(TIERS)}; found {tier!r}")
        self.tier = tier
        self.steps = [_build(dict(step)) for step in TIERS[tier]]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Applies the steps."""
        for step in self.steps:
            results = step(results)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(tier={self.tier!r})"


def _build(step: Step) -> BaseTransform:
    """Builds a step; one with ``apply_prob`` is applied to that share of images."""
    prob = step.pop("apply_prob", None)
    transform = TRANSFORMS.build(step)
    return transform if prob is None else RandomApply([transform], prob=prob)
