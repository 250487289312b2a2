"""One warp for image and mask: the same place, the same size, 255 from beyond the border."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg_heritage.datasets.transforms import RandomWarp, warp
from mmseg_heritage.errors import InputError

STRONG = {"rotation": 25, "scale": (0.7, 1.4), "shear": 10, "displacement": 0.04}


def blocks(height=120, width=150, seed=0):
    """An image whose color says the class."""
    generator = np.random.default_rng(seed)
    few = generator.integers(0, 4, (height // 30 + 1, width // 30 + 1), dtype=np.uint8)
    mask = np.kron(few, np.ones((30, 30), np.uint8))[:height, :width].copy()
    image = np.repeat((mask * 80)[..., None], 3, axis=2)
    return {"img": image, "gt_seg_map": mask}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999))
def test_image_and_mask_agree_within_a_pixel(seed):
    np.random.seed(seed)
    made = RandomWarp(**STRONG)(blocks(seed=seed))
    mask, shown = made["gt_seg_map"], np.rint(made["img"][..., 0] / 80).astype(np.uint8)
    edges = ndimage.grey_dilation(mask, (3, 3)) != ndimage.grey_erosion(mask, (3, 3))
    inside = (mask != 255) & ~edges
    inside[[0, -1]] = inside[:, [0, -1]] = False  # an edge may lie just beyond
    assert inside.mean() > 0.3
    assert (shown == mask)[inside].all()


def test_the_mask_is_not_shifted_against_the_image():
    """Bright up to an edge: its mean tells, below a pixel, where the edge of the mask belongs."""
    np.random.seed(0)
    shifts = []
    for _ in range(150):
        mask = np.zeros((64, 64), np.uint8)
        mask[:, : np.random.randint(20, 44)] = 1
        image = np.repeat(mask[..., None] * 200, 3, axis=2)
        made = RandomWarp(scale=(0.8, 1.25), displacement=0.03)({"img": image, "gt_seg_map": mask})
        row = made["gt_seg_map"][32] != 255
        shifts.append((made["gt_seg_map"][32] == 1).sum() - made["img"][32, row, 0].sum() / 200)
    assert abs(np.mean(shifts)) < 0.08


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999))
def test_no_class_appears_and_255_is_what_is_empty(seed):
    np.random.seed(seed)
    made = RandomWarp(**STRONG)(blocks(seed=seed))
    assert set(np.unique(made["gt_seg_map"])) <= set(np.unique(blocks(seed=seed)["gt_seg_map"])) | {
        255
    }
    zoomed_out = RandomWarp(scale=(0.5, 0.5))(blocks(seed=seed))["gt_seg_map"]
    assert (zoomed_out == 255).mean() == pytest.approx(0.75, abs=0.03)
    assert (zoomed_out[0] == 255).all()


def test_255_moves_with_the_image():
    data = blocks()
    data["gt_seg_map"][40:80, 50:100] = 255
    data["img"][40:80, 50:100] = 255
    np.random.seed(3)
    made = RandomWarp(rotation=15, displacement=0.03)(data)
    white = made["img"][..., 0] > 250
    core = ndimage.binary_erosion(white, iterations=1)
    assert core.sum() > 1000
    assert (made["gt_seg_map"][core] == 255).all()


def test_turning_is_that_of_a_reference():
    """Scipy turns around the same center."""
    mask = blocks(91, 91)["gt_seg_map"]
    transform = RandomWarp(rotation=20)
    np.random.seed(1)
    angle = np.random.uniform(-20, 20)
    np.random.seed(1)
    made = transform({"img": np.repeat(mask[..., None], 3, 2), "gt_seg_map": mask})["gt_seg_map"]
    expected = ndimage.rotate(mask, angle, reshape=False, order=0, cval=255)
    assert (made == expected).mean() > 0.985


def test_nothing_drawn_changes_nothing():
    data = blocks()
    made = RandomWarp()(dict(data))
    assert np.array_equal(made["img"], data["img"])
    assert np.array_equal(made["gt_seg_map"], data["gt_seg_map"])


def test_displacements_do_not_fold_the_image():
    np.random.seed(0)
    transform = RandomWarp(displacement=0.05)
    for _ in range(50):
        map_x, map_y = warp._maps(transform._draw(), 200, 300)
        assert (np.diff(map_x, axis=1) > 0).all()
        assert (np.diff(map_y, axis=0) > 0).all()


def test_all_that_is_wrong_is_said():
    with pytest.raises(InputError) as caught:
        RandomWarp(rotation=200, scale=(1.2, 0.8), shear=-1, displacement=0.2)
    assert len(caught.value.problems) == 4


def test_images_beyond_the_reach_of_opencv_are_refused():
    image = np.zeros((1, 40000, 3), np.uint8)
    with pytest.raises(InputError, match="found 40000x1"):
        RandomWarp(rotation=5)({"img": image, "gt_seg_map": image[..., 0]})
