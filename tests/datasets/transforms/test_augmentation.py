"""Every tier: safe for labels, repeatable, and the default what it has always been."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.registry import TRANSFORMS
from scipy import ndimage

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg_heritage.datasets.transforms import HeritageAugmentation
from mmseg_heritage.datasets.transforms.augmentation import TIERS
from mmseg_heritage.errors import InputError

PAINTED = {"film_damage": {3, 4, 5}}


def seeded(seed):
    np.random.seed(seed)
    random.seed(seed)


def sample(size=96, seed=0):
    """Classes 0, 7 and 9 as gray levels far apart, and a hole of 255 that is black."""
    generator = np.random.default_rng(seed)
    few = generator.choice([0, 7, 9], (size // 32 + 1, size // 32 + 1)).astype(np.uint8)
    mask = np.kron(few, np.ones((32, 32), np.uint8))[:size, :size].copy()
    mask[10:30, 40:80] = 255
    image = np.choose(np.searchsorted([0, 7, 9, 255], mask), [220, 150, 80, 0]).astype(np.uint8)
    return {
        "img": np.repeat(image[..., None], 3, axis=2), "gt_seg_map": mask,
        "seg_fields": ["gt_seg_map"],
    }  # fmt: skip


@pytest.mark.parametrize("tier", TIERS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999))
def test_masks_hold_no_class_that_was_not_there(tier, seed):
    seeded(seed)
    given_sample = sample(seed=seed)
    values = set(np.unique(given_sample["gt_seg_map"]).tolist()) | {255}
    image, mask = given_sample["img"].copy(), given_sample["gt_seg_map"].copy()
    made = HeritageAugmentation(tier)(dict(given_sample))
    assert made["img"].shape == (96, 96, 3)
    assert made["img"].dtype == made["gt_seg_map"].dtype == np.uint8
    assert made["gt_seg_map"].shape == (96, 96)
    assert set(np.unique(made["gt_seg_map"]).tolist()) <= values | PAINTED.get(tier, set())
    # A cache may hand out the same arrays again.
    assert np.array_equal(given_sample["img"], image)
    assert np.array_equal(given_sample["gt_seg_map"], mask)


@pytest.mark.parametrize("tier", TIERS)
def test_image_and_mask_stay_aligned(tier):
    """The level of a pixel far from edges says its class, whatever the tier does to colors."""
    for seed in range(25):
        seeded(seed)
        made = HeritageAugmentation(tier)(sample(seed=seed))
        mask, gray = made["gt_seg_map"], made["img"].mean(axis=2)
        edges = ndimage.grey_dilation(mask, (5, 5)) != ndimage.grey_erosion(mask, (5, 5))
        light = ndimage.gaussian_filter(gray, 1)
        means = [light[(mask == c) & ~edges] for c in (0, 7, 9)]
        means = [m for m in means if m.size > 30]
        for brighter, darker in itertools.pairwise(means):
            # Uneven light may bring single pixels closer, never most of them.
            assert np.percentile(brighter, 25) > np.percentile(darker, 75), (tier, seed)
        hole = (mask == 255) & ~edges
        if hole.any() and tier not in ("heavy", "heritage"):  # those mirror beyond the border
            assert light[hole].max() < 60


@pytest.mark.parametrize("tier", TIERS)
def test_the_same_seed_gives_the_same_result(tier):
    transform = HeritageAugmentation(tier)
    made = []
    for _ in range(2):
        seeded(7)
        made.append([transform(sample(seed=s)) for s in range(6)])
    for one, other in zip(*made, strict=True):
        assert np.array_equal(one["img"], other["img"])
        assert np.array_equal(one["gt_seg_map"], other["gt_seg_map"])


def test_a_mask_of_255_stays_that():
    for tier in TIERS:
        seeded(0)
        for _ in range(10):
            data = sample()
            data["gt_seg_map"][:] = 255
            assert (HeritageAugmentation(tier)(data)["gt_seg_map"] == 255).all()


def test_medium_is_flips_and_stock_colors():
    """The pipeline before there were tiers, step by step: earlier figures stay what they were."""
    stock = [
        TRANSFORMS.build(step)
        for step in (
            {"type": "RandomFlip", "prob": 0.5},
            {"type": "RandomFlip", "prob": 0.5, "direction": "vertical"},
            {
                "type": "PhotoMetricDistortion", "brightness_delta": 24,
                "contrast_range": (0.75, 1.25), "saturation_range": (0.75, 1.25), "hue_delta": 8,
            },
        )
    ]  # fmt: skip
    for seed in range(10):
        seeded(seed)
        expected = sample(seed=seed)
        for step in stock:
            expected = step(expected)
        seeded(seed)
        made = HeritageAugmentation()(sample(seed=seed))
        assert np.array_equal(made["img"], expected["img"])
        assert np.array_equal(made["gt_seg_map"], expected["gt_seg_map"])


@pytest.mark.parametrize("tier", ["strong", "", None, 3, ["light"]])
def test_unknown_tiers_are_named(tier):
    with pytest.raises(InputError, match="one of none, light, medium, heavy, heritage"):
        HeritageAugmentation(tier)
