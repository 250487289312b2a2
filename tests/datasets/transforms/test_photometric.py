"""Color, light and files: the mask stays, damage stays to be seen, nothing is clipped."""

import numpy as np
import pytest

pytest.importorskip("mmseg")

import mmseg_heritage.plugin  # noqa: F401

# isort: split
from mmseg_heritage.datasets import transforms
from mmseg_heritage.datasets.transforms.photometric import OLD_PAPER
from mmseg_heritage.errors import InputError

NAMES = ("RandomTint", "RandomYellowing", "RandomUnevenLight", "RandomGrain", "RandomBlur",
         "RandomJPEG")  # fmt: skip


def results(level=None, shape=(64, 80)):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (*shape, 3), dtype=np.uint8)
    if level is not None:
        image[:] = level
    return {"img": image, "gt_seg_map": generator.integers(0, 16, shape, dtype=np.uint8)}


@pytest.mark.parametrize("name", NAMES)
def test_only_the_image_changes(name):
    np.random.seed(0)
    given = results()
    before, mask = given["img"].copy(), given["gt_seg_map"].copy()
    made = getattr(transforms, name)()(dict(given))
    assert made["img"].shape == before.shape
    assert made["img"].dtype == np.uint8
    assert not np.array_equal(made["img"], before)
    assert np.array_equal(given["img"], before)  # a cached image is not written to
    assert made["gt_seg_map"] is given["gt_seg_map"]
    assert np.array_equal(mask, given["gt_seg_map"])


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_image(name):
    images = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        images.append(getattr(transforms, name)()(results())["img"])
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])


def test_yellowing_turns_white_into_paper_and_keeps_the_order_of_levels():
    transform = transforms.RandomYellowing(strength=(1, 1), fade=30)
    assert np.abs(transform(results(255))["img"][0, 0].astype(int) - OLD_PAPER).max() <= 1
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    aged = transform({"img": ramp})["img"].astype(int)
    assert (np.diff(aged, axis=1) >= 0).all()
    assert aged[0, 0].max() <= 30
    assert (aged[..., 2] >= aged[..., 1]).all()  # red, green, blue: yellow, never blue or green
    assert (aged[..., 1] >= aged[..., 0]).all()


def test_nothing_bright_is_clipped():
    """A fold in white paper that is ten levels deep must not vanish in 255."""
    np.random.seed(0)
    paper = np.full((64, 64, 3), 255, np.uint8)
    paper[:, 32] = 245
    for name in ("RandomTint", "RandomUnevenLight", "RandomYellowing"):
        transform = getattr(transforms, name)()
        for _ in range(50):
            made = transform({"img": paper})["img"].astype(float)
            beside = (made[:, 31] + made[:, 33]) / 2
            assert (beside - made[:, 32]).mean() > 4, name


def test_light_falls_slowly_and_by_no_more_than_asked():
    np.random.seed(0)
    for _ in range(50):
        light = transforms.RandomUnevenLight(0.4)(results(200, (90, 120)))["img"][..., 0] / 200
        assert light.max() == pytest.approx(1, abs=0.01)
        assert light.min() >= 0.59
        assert np.abs(np.diff(light, axis=0)).max() < 0.05
        # A plane and a paraboloid: a fit by least squares leaves the rounding only.
        ys, xs = np.mgrid[-1:1:90j, -1:1:120j]
        basis = np.stack([np.ones_like(xs), xs, ys, xs**2 + ys**2]).reshape(4, -1).T
        rest = light.ravel() - basis @ np.linalg.lstsq(basis, light.ravel(), rcond=None)[0]
        assert np.abs(rest).max() < 0.004


def test_grain_has_its_standard_deviation_and_no_color():
    np.random.seed(0)
    made = transforms.RandomGrain((5, 5))(results(128, (300, 300)))["img"].astype(float)
    assert (made - 128).std() == pytest.approx(5, rel=0.03)
    assert made.mean() == pytest.approx(128, abs=0.1)
    assert np.array_equal(made[..., 0], made[..., 2])


def test_a_crack_survives_all_of_them():
    """A dark line of one pixel keeps a third of its contrast through each at its default."""
    np.random.seed(0)
    for name in NAMES:
        for _ in range(20):
            image = np.full((64, 64, 3), 180, np.uint8)
            image[:, 32] = 80
            made = (
                getattr(transforms, name)()({"img": image})["img"].astype(float).mean(axis=(0, 2))
            )
            assert made[28] - made[32] > 100 / 3, name


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("RandomTint", {"gain": 2}), ("RandomTint", {"gamma": (0, 1)}),
        ("RandomYellowing", {"strength": (0.5, 1.5)}), ("RandomYellowing", {"fade": -1}),
        ("RandomUnevenLight", {"amount": 2}), ("RandomGrain", {"sigma": (3, 1)}),
        ("RandomBlur", {"sigma": (0, 1)}), ("RandomJPEG", {"quality": (0, 50)}),
    ],
)  # fmt: skip
def test_ranges_that_cannot_be_meant_are_refused(name, options):
    with pytest.raises(InputError, match=f"{name}: {next(iter(options))} must be two rising"):
        getattr(transforms, name)(**options)
