"""Crops and resizing: sizes, alignment, and 255 in every hole and border."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401
from mmseg_heritage.datasets.transforms import LimitLongEdge, RandomSquareCrop, RareClassCrop
from mmseg_heritage.errors import InputError


def _results(height, width, seed=0, ignored=0.1):
    """An image that shows its mask: every channel is the class id times ten."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 16, (height // 8 + 1, width // 8 + 1), dtype=np.uint8)
    mask = np.kron(blocks, np.ones((8, 8), np.uint8))[:height, :width].copy()
    mask[generator.random((height, width)) < ignored] = 255
    image = np.repeat((np.where(mask == 255, 20, mask) * 10)[..., None], 3, axis=2)
    return {"img": image.astype(np.uint8), "gt_seg_map": mask}


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90), width=st.integers(1, 90), size=st.integers(1, 64),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_the_crop_has_its_size_and_only_values_of_the_mask(height, width, size, seed):
    np.random.seed(seed)
    results = _results(height, width, seed)
    values = set(results["gt_seg_map"].ravel().tolist())
    cropped = RandomSquareCrop(size)(results)
    assert cropped["img"].shape == (size, size, 3)
    assert cropped["gt_seg_map"].shape == (size, size) == cropped["img_shape"]
    assert cropped["gt_seg_map"].dtype == np.uint8
    assert set(cropped["gt_seg_map"].ravel().tolist()) <= values | {255}


def test_image_and_mask_are_cut_at_the_same_place():
    np.random.seed(0)
    for seed in range(10):
        results = RandomSquareCrop(40)(_results(40, 120, seed, ignored=0))
        # At the original scale, since the short edge is the size: no interpolation blurs the image.
        assert np.array_equal(results["img"][..., 0], results["gt_seg_map"] * 10)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(("edge", "size"), [(97, 32), (20, 64)])
def test_resizing_does_not_shift_the_mask_against_the_image(edge, size, axis):
    """The image is bright up to an edge: its mean tells where the edge of the mask belongs."""
    np.random.seed(1)
    shifts = []
    for _ in range(200):
        mask = np.zeros((edge, edge), dtype=np.uint8)
        mask[:, : np.random.randint(1, edge)] = 1
        mask = mask if axis == 1 else mask.T.copy()
        image = np.repeat(mask[..., None] * 200, 3, axis=2)
        results = RandomSquareCrop(size)({"img": image, "gt_seg_map": mask})
        # Along one line from the border; what is padded behind it is dark and is not 1.
        bright = np.take(results["img"][..., 0], 0, axis=1 - axis)
        marked = np.take(results["gt_seg_map"], 0, axis=1 - axis) == 1
        shifts.append(marked.sum() - bright.sum() / 200)
    # In pixels of the result. Nearest neighbor from the corners of the cells shifts by up to half.
    assert abs(np.mean(shifts)) < 0.1


def test_sides_range_from_the_size_to_the_short_edge():
    np.random.seed(0)
    crop = RandomSquareCrop(16)
    mask = np.zeros((40, 90), dtype=np.uint8)
    boxes = [crop._draw_box(mask) for _ in range(800)]
    assert {side for _, _, side in boxes} == set(range(16, 41))
    assert all(top + side <= 40 and left + side <= 90 for top, left, side in boxes)
    assert {top for top, _, side in boxes if side == 40} == {0}
    assert max(left for _, left, side in boxes) > 60


@pytest.mark.parametrize("make", [RandomSquareCrop, RareClassCrop])
@pytest.mark.parametrize("shape", [(300, 400), (10, 400)])
def test_a_share_of_the_crops_is_not_resized(make, shape):
    options = (
        {} if make is RandomSquareCrop else {"rare_class_prob": 0.5, "class_weight": [1.0] * 16}
    )
    np.random.seed(0)
    native = make(16, native_prob=1.0, **options)
    for seed in range(20):
        results = native({**_results(*shape, seed, ignored=0), "seg_map_path": str(seed)})
        known = results["gt_seg_map"] != 255  # what was padded is another
        assert np.array_equal(results["img"][..., 0][known], results["gt_seg_map"][known] * 10)
    mask = np.zeros(shape, dtype=np.uint8)
    some = make(16, native_prob=0.3, **options)
    sides = np.array([some._draw_box(mask)[2] for _ in range(600)])
    assert 0.25 < np.mean(sides == 16) < 0.42


def test_padding_is_255():
    np.random.seed(0)
    results = _results(10, 30, ignored=0)
    cropped = RandomSquareCrop(20, pad_value=7)(results)
    assert cropped["gt_seg_map"].shape == (20, 20)
    # Padded where the mask says so, and nowhere else; a blurred border is neither.
    padded = cropped["gt_seg_map"] == 255
    assert padded.any()
    assert padded[-1].all()
    assert not padded[0].any()
    assert (cropped["img"][-1] == 7).all()
    assert (cropped["img"][0, :, 0] == cropped["img"][0, :, 1]).all()


def test_crops_that_are_mostly_outside_are_drawn_again():
    np.random.seed(0)
    results = _results(64, 256, ignored=0)
    results["gt_seg_map"][:, :200] = 255
    shares = []
    for _ in range(30):
        cropped = RandomSquareCrop(32, max_ignore=0.5, max_tries=200)(dict(results))
        shares.append((cropped["gt_seg_map"] == 255).mean())
    assert max(shares) <= 0.55


def test_large_images_shrink_and_small_ones_stay():
    shrunk = LimitLongEdge(50)(_results(100, 200))
    assert shrunk["img"].shape[:2] == (25, 50) == shrunk["img_shape"]
    assert shrunk["gt_seg_map"].shape == (100, 200)
    assert LimitLongEdge(50)(_results(30, 40))["img"].shape[:2] == (30, 40)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_tries", 0),
        ("max_tries", 1.5),
        ("max_ignore", -0.1),
        ("max_ignore", 75),
        ("native_prob", 2),
        ("native_prob", "much"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(option, value):
    with pytest.raises(InputError, match=option):
        RandomSquareCrop(8, **{option: value})


@pytest.mark.parametrize("make", [RandomSquareCrop, LimitLongEdge])
@pytest.mark.parametrize("value", [0, -3, 2.5, "384", True])
def test_sizes_must_be_positive_integers(make, value):
    with pytest.raises(InputError, match="positive integer"):
        make(value)
