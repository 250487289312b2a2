"""Values of masks that probably mean something else."""

import cv2
import numpy as np
import pytest

from mmseg_heritage.dataprep.checks.mask_values import set_warnings, smoothed_classes
from mmseg_heritage.taxonomy import ARTEFACT, ClassList, DamageClass

NUMBER = len(ARTEFACT.classes)


def counts(*masks):
    """Pixels of each class, given as {class: pixels}."""
    found = np.zeros((len(masks), NUMBER + 1), dtype=np.int64)
    for row, mask in zip(found, masks, strict=True):
        for class_id, pixels in mask.items():
            row[class_id] = pixels
    return found


@pytest.mark.parametrize(
    ("masks", "text"),
    [
        ([{0: 90, -1: 10}, {0: 100}], "1 of 2 masks hold 255"),
        ([{0: 100}, {0: 50}], "calls everything Clean"),
        ([{-1: 100}, {-1: 50}], "no mask has a labeled pixel"),
        ([{0: 9, 1: 1}, {0: 10}], "1 means Material loss"),
        ([{1: 10}, {1: 3}], "1 means Material loss"),
    ],
)
def test_what_may_mean_something_else_is_said_with_a_remedy(masks, text):
    (found,) = set_warnings(counts(*masks), ARTEFACT)
    assert text in found


@pytest.mark.parametrize(
    "masks", [[], [{0: 9, 9: 1}, {0: 9}], [{0: 9, 1: 1}], [{0: 5, 1: 2, 3: 1, -1: 4}] * 2]
)
def test_masks_of_several_classes_or_a_single_one_pass(masks):
    assert set_warnings(counts(*masks), ARTEFACT) == []


def test_classes_of_ones_own_may_be_two():
    own = ClassList(
        tuple(DamageClass(i, n, (i, i, i)) for i, n in enumerate(("Clean", "Tear"))), {}
    )
    assert set_warnings(np.array([[9, 1, 0], [9, 1, 0]]), own) == []


def shapes(seed, size=96):
    """A mask of discs of several classes on Clean, some beside each other."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((size, size), dtype=np.uint8)
    for class_id in rng.permutation(np.arange(1, 16))[:6].tolist():
        center = rng.integers(10, size - 10, 2).tolist()
        cv2.circle(mask, center, int(rng.integers(3, 14)), class_id, -1)
    mask[:5] = 255
    return mask


@pytest.mark.parametrize("seed", range(20))
def test_real_shapes_are_not_smoothed(seed):
    mask = shapes(seed)
    assert smoothed_classes(mask, ARTEFACT.ids) == []
    nearest = cv2.resize(mask, (50, 60), interpolation=cv2.INTER_NEAREST)
    assert smoothed_classes(nearest, ARTEFACT.ids) == []


@pytest.mark.parametrize("interpolation", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA])
@pytest.mark.parametrize("size", [(150, 140), (61, 47)])
def test_masks_resized_like_photographs_are(interpolation, size):
    mask = np.zeros((96, 96), dtype=np.uint8)
    cv2.circle(mask, (40, 50), 20, 12, -1)
    cv2.line(mask, (5, 5), (90, 80), 9, 4)
    resized = cv2.resize(mask, size, interpolation=interpolation)
    assert len(smoothed_classes(np.minimum(resized, 15), ARTEFACT.ids)) >= 3
