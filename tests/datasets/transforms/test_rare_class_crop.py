"""Crops on rare classes: where they lie, how often, and that the mask is searched once."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg_heritage.datasets.transforms import RandomSquareCrop, RareClassCrop, rare_class_crop
from mmseg_heritage.datasets.transforms.rare_class_crop import sample_class_pixels
from mmseg_heritage.errors import InputError


def results_of(mask, path="mask.png"):
    image = np.repeat(mask[..., None], 3, axis=2)
    return {"img": image, "gt_seg_map": mask, "seg_map_path": path}


def rare_mask(height=90, width=140, spot=(61, 37)):
    """Clean, with three pixels of class 9."""
    mask = np.zeros((height, width), np.uint8)
    mask[spot[0], spot[1] : spot[1] + 3] = 9
    return mask


WEIGHTS = [0.0] * 9 + [1.0] + [0.0] * 6


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99))
def test_all_pixels_of_small_classes_are_found(height, width, seed):
    mask = np.random.default_rng(seed).choice([0, 3, 15, 255], (height, width)).astype(np.uint8)
    found = sample_class_pixels(mask, limit=height * width)
    assert set(found) == set(np.unique(mask).tolist()) - {255}
    for class_id, pixels in found.items():
        assert np.array_equal(pixels, np.argwhere(mask == class_id))


def test_pixels_of_large_classes_are_drawn_evenly():
    mask = np.random.default_rng(0).choice([0, 5], (60, 70), p=[0.7, 0.3]).astype(np.uint8)
    drawn = sample_class_pixels(mask, limit=1000, seed=1)
    for class_id, pixels in drawn.items():
        assert pixels.shape == (1000, 2)
        assert (mask[tuple(pixels.T)] == class_id).all()
        where = np.argwhere(mask == class_id)
        # The mean of 1000 uniform draws lies within 5 standard errors of that of all pixels.
        error = np.abs(pixels.mean(axis=0) - where.mean(axis=0)) / where.std(axis=0)
        assert (error < 5 / np.sqrt(1000)).all()
    again = sample_class_pixels(mask, limit=1000, seed=1)
    assert all(np.array_equal(again[c], drawn[c]) for c in drawn)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90), width=st.integers(1, 90), size=st.integers(1, 64),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_the_drawn_class_is_in_the_crop(height, width, size, seed):
    np.random.seed(seed)
    mask = np.zeros((height, width), np.uint8)
    mask[np.random.randint(height), np.random.randint(width)] = 9
    crop = RareClassCrop(size, 1.0, WEIGHTS, max_ignore=1.0)
    top, left, side = crop._choose_box(results_of(mask))
    cut = mask[top : top + side, left : left + side]
    assert (cut == 9).any()
    short = min(height, width)
    assert min(short, size) <= side <= max(short, size)
    assert 0 <= top <= max(height - side, 0)
    assert 0 <= left <= max(width - side, 0)
    assert crop(results_of(mask))["img"].shape == (size, size, 3)


def test_the_pixel_lies_anywhere_in_the_crop():
    np.random.seed(0)
    mask = rare_mask(400, 400, (200, 199))
    crop = RareClassCrop(40, 1.0, WEIGHTS)
    crop._draw_side = lambda mask: 40
    boxes = np.array([crop._choose_box(results_of(mask)) for _ in range(1500)])
    in_crop = 200 - boxes[:, 0]
    assert set(in_crop) == set(range(40))  # every row of the crop, its border too
    assert abs(in_crop.mean() - 19.5) < 5 * 11.5 / np.sqrt(1500)


def test_the_class_survives_resizing_where_it_can():
    """In one of 16 x 16 pixels of the result three pixels are often lost to nearest neighbor."""
    np.random.seed(1)
    crop = RareClassCrop(16, 1.0, WEIGHTS, max_tries=50)
    kept = [(crop(results_of(rare_mask()))["gt_seg_map"] == 9).any() for _ in range(100)]
    assert np.mean(kept) > 0.98
    np.random.seed(1)
    crop = RareClassCrop(16, 1.0, WEIGHTS, max_tries=1)
    assert (
        np.mean([(crop(results_of(rare_mask()))["gt_seg_map"] == 9).any() for _ in range(100)])
        < 0.9
    )


def test_classes_are_drawn_by_the_inverse_root_of_their_counts():
    np.random.seed(0)
    crop = RareClassCrop(8, 1.0)
    crop.set_class_counts(np.array([9_000_000, 10_000, 0, 90_000]))
    pixels = {c: np.zeros((1, 2), np.int32) for c in (0, 1, 3)}
    drawn = np.bincount([crop._draw_class(pixels) for _ in range(6000)], minlength=4) / 6000
    expected = np.array([1 / 3000, 1 / 100, 0, 1 / 300])
    assert drawn == pytest.approx(expected / expected.sum(), abs=0.03)


def test_only_classes_of_the_image_with_a_weight_are_drawn():
    crop = RareClassCrop(8, 1.0, [0.0, 1.0, 5.0])
    assert crop._draw_class({0: None, 1: None}) == 1
    assert crop._draw_class({0: None}) is None
    assert crop._draw_class({}) is None


def test_as_many_crops_as_asked_look_for_a_class():
    np.random.seed(0)
    mask = rare_mask(200, 3000, (100, 2000))
    crop = RareClassCrop(40, 0.3, WEIGHTS)
    hits = 0
    for _ in range(1000):
        top, left, side = crop._choose_box(results_of(mask))
        hits += (mask[top : top + side, left : left + side] == 9).any()
    plain, by_chance = RandomSquareCrop(40), 0
    for _ in range(1000):
        top, left, side = plain._draw_box(mask)
        by_chance += (mask[top : top + side, left : left + side] == 9).any()
    assert hits / 1000 == pytest.approx(0.3 + 0.7 * by_chance / 1000, abs=0.06)


@given(seed=st.integers(0, 50))
def test_without_a_share_it_is_the_plain_crop(seed):
    np.random.seed(seed)
    mask = np.random.randint(0, 5, (50, 70)).astype(np.uint8)
    state = np.random.get_state()
    plain = RandomSquareCrop(24)(results_of(mask))
    np.random.set_state(state)
    ours = RareClassCrop(24, rare_class_prob=0)(results_of(mask))
    assert np.array_equal(ours["img"], plain["img"])
    assert np.array_equal(ours["gt_seg_map"], plain["gt_seg_map"])


def test_each_mask_is_searched_once(monkeypatch):
    searched = []
    original = rare_class_crop.sample_class_pixels
    monkeypatch.setattr(
        rare_class_crop, "sample_class_pixels", lambda m: searched.append(m) or original(m)
    )
    crop = RareClassCrop(16, 1.0, WEIGHTS)
    first, second = rare_mask(), rare_mask(spot=(5, 5))
    for _ in range(5):
        crop(results_of(first, "a"))
        crop(results_of(second, "b"))
    assert len(searched) == 2
    crop(results_of(np.fliplr(first).copy(), "a"))  # moved by a transform: found again
    assert len(searched) == 3


def test_crops_that_are_mostly_outside_are_drawn_again():
    np.random.seed(0)
    mask = rare_mask(64, 256, (30, 60))
    mask[:, 64:] = 255
    crop = RareClassCrop(32, 1.0, WEIGHTS, max_ignore=0.4, max_tries=200)
    shares = [(crop(results_of(mask))["gt_seg_map"] == 255).mean() for _ in range(30)]
    assert max(shares) <= 0.4


def test_an_image_without_classes_is_cropped():
    mask = np.full((30, 30), 255, np.uint8)
    assert RareClassCrop(16, 1.0, WEIGHTS)(results_of(mask))["img"].shape == (16, 16, 3)


def test_weights_come_from_a_file(tmp_path):
    path = tmp_path / "weights.json"
    path.write_text(json.dumps({"class_weights": WEIGHTS}))
    crop = RareClassCrop(16, 1.0, str(path))
    assert not crop.needs_counts
    assert (crop(results_of(rare_mask()))["gt_seg_map"] == 9).any()


@pytest.mark.parametrize("value", [-0.1, 1.5, "half", True, float("nan")])
def test_shares_are_shares(value):
    with pytest.raises(InputError, match=r"rare_class_prob must be .*0\.\.1"):
        RareClassCrop(16, value)


def test_missing_weights_are_named():
    with pytest.raises(InputError, match="give class_weight, a list or a JSON file"):
        RareClassCrop(16, 1.0)(results_of(rare_mask()))
    with pytest.raises(InputError, match="weights for 3 classes, but a mask holds the class 9"):
        RareClassCrop(16, 1.0, [1, 1, 1])(results_of(rare_mask()))
