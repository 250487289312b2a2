"""Acts on maps, against maps made pixel by pixel."""

import numpy as np
import pytest
from scipy import ndimage

from mmseg_heritage.errors import InputError
from mmseg_heritage.review.corrections import (
    Values,
    decided,
    merged,
    region_mask,
    stroke_mask,
)
from mmseg_heritage.review.review_file import Act, ReviewedRegion

VALUES = Values({"Clean": 0, "Mold": 7, "Salt": 3})


@pytest.fixture
def class_map():
    """Two regions of Mold, and one of Salt within the box of the larger."""
    ids = np.zeros((30, 40), np.uint8)
    ids[2:20, 3:20] = 7
    ids[6:16, 7:16] = 0
    ids[8:12, 9:12] = 7  # another region, in the hole of the first
    ids[25:28, 30:36] = 3
    ids[:, 39] = 255
    return ids


RING = ReviewedRegion(1, "Mold", (3, 2, 17, 18), 18 * 17 - 10 * 9)
SALT = ReviewedRegion(3, "Salt", (30, 25, 6, 3), 18)


def act(number, kind, region=None, by="AB", **more):
    return Act(f"{number:08d}", "wall", kind, by, "2026-11-28T10:00:00+00:00", region, **more)


@pytest.mark.parametrize("seed", range(6))
def test_regions_are_those_of_another_labeling(seed):
    rng = np.random.default_rng(seed)
    ids = (ndimage.gaussian_filter(rng.standard_normal((60, 70)), 1.2) > 0.05).astype(np.uint8)
    labels, number = ndimage.label(ids, np.ones((3, 3)))
    assert number > 5
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        found = region_mask(ids, 1, box)
        assert np.array_equal(found, labels[rows, columns] == label)
    assert region_mask(ids, 1, (0, 0, 1000, 2)) is None


@pytest.mark.parametrize("seed", range(4))
def test_strokes_are_pixels_within_their_radius(seed):
    rng = np.random.default_rng(seed)
    points = [tuple(p) for p in rng.uniform(-8, 60, (rng.integers(1, 7), 2))]
    radius = float(rng.uniform(0.5, 9))
    part, mask = stroke_mask(points, radius, (40, 50))
    found = np.zeros((40, 50), bool)
    found[part] = mask
    expected = np.zeros((40, 50), bool)
    for y in range(40):
        for x in range(50):
            expected[y, x] = distance((x + 0.5, y + 0.5), points) <= radius
    assert np.array_equal(found, expected)


def distance(place, points):
    """Returns the distance to a line, by its points at small steps and their feet."""
    ends = points[1:] or points
    best = np.inf
    for start, end in zip(points, ends, strict=False):
        a, b, p = map(np.array, (start, end, place))
        length = np.dot(b - a, b - a)
        t = min(max(np.dot(p - a, b - a) / length, 0), 1) if length else 0
        best = min(best, float(np.hypot(*(a + t * (b - a) - p))))
    return best


def test_the_last_decision_counts_and_strokes_lie_above(class_map):
    acts = [
        act(1, "paint", class_name="Salt", points=((5.0, 5.0),), radius=1.0),
        act(2, "accept", RING),
        act(3, "relabel", RING, class_name="Salt"),
        act(4, "reject", SALT),
        act(5, "erase", points=((0.0, 10.0), (40.0, 10.0)), radius=1.0),
        act(6, "comment", RING, text="dark"),
    ]
    layer = decided(class_map, acts, VALUES)
    corrected, is_decided, conflicts = merged(class_map, {"a": layer}, VALUES)
    expected = class_map.copy()
    expected[2:20, 3:20][class_map[2:20, 3:20] == 7] = 3
    expected[8:12, 9:12] = 7  # the region in the hole was not meant
    expected[25:28, 30:36] = 0
    expected[9:11] = 0
    assert np.array_equal(corrected, expected)
    assert conflicts == []
    assert is_decided[9:11].all()
    assert not is_decided[8, 9:12].any()
    rows = [(c.act.kind, c.before, c.after, c.pixels) for c in layer.changes]
    assert rows == [
        ("paint", "", "Salt", 0),  # on a region that became Salt
        ("relabel", "Mold", "Salt", 216),
        ("reject", "Salt", "Clean", 18),
        ("erase", "Salt", "Clean", 16),
        ("erase", "Mold", "Clean", 6),
        ("erase", "Background", "Clean", 2),
        ("comment", "", "", 0),
    ]


def test_without_clean_nothing_is_255(class_map):
    values = Values({"Mold": 7, "Salt": 3, "Wall": 0})
    layer = decided(class_map, [act(1, "reject", SALT)], values)
    assert (layer.values[25:28, 30:36] == 255).all()
    assert layer.changes[0].after == "Background"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (act(1, "accept", ReviewedRegion(1, "Mold", (3, 2, 17, 18), 7)), "no region of Mold"),
        (act(1, "accept", ReviewedRegion(1, "Mold", (3, 2, 16, 18), 216)), "no region of Mold"),
        (act(1, "accept", ReviewedRegion(1, "Mold", (3, 2, 1 << 40, 18), 216)), "no region"),
        (act(1, "relabel", RING, class_name="Salz"), "'Salz' is no class of the prediction; did"),
        (act(1, "paint", class_name="Molt", points=((1, 1),), radius=2.0), "did you mean Mold?"),
    ],
)
def test_what_does_not_fit_is_refused(class_map, wrong, problem):
    with pytest.raises(InputError) as caught:
        decided(class_map, [wrong, wrong], VALUES)
    assert problem in caught.value.problems[0]


def layers(class_map, **acts):
    return {name: decided(class_map, own, VALUES) for name, own in acts.items()}


def test_two_reviewers_of_different_regions_are_put_together(class_map):
    found = layers(
        class_map, a=[act(1, "reject", SALT)], b=[act(2, "relabel", RING, class_name="Salt")]
    )
    corrected, _, conflicts = merged(class_map, found, VALUES)
    assert conflicts == []
    assert (corrected == 3).sum() == 216


def test_what_two_reviewers_want_differently_stays_and_is_listed(class_map):
    found = layers(
        class_map,
        a=[act(1, "reject", SALT), act(2, "accept", RING)],
        b=[act(3, "accept", SALT, by="CD"), act(4, "accept", RING, by="CD"),
           act(5, "erase", points=((3.5, 2.5),), radius=0.5, by="CD")],
    )  # fmt: skip
    corrected, is_decided, conflicts = merged(class_map, found, VALUES)
    assert np.array_equal(corrected, class_map)
    assert [(c.what, c.pixels, c.box) for c in conflicts] == [
        ("region 3 (Salt)", 18, (30, 25, 6, 3)),
        ("touch-up", 1, (3, 2, 1, 1)),
    ]
    assert conflicts[0].said == {
        "a": "AB 2026-11-28T10:00:00+00:00: reject",
        "b": "CD 2026-11-28T10:00:00+00:00: accept",
    }
    assert conflicts[1].said == {"a": "Mold", "b": "Clean"}
    assert is_decided.sum() == 216 - 1
    both = dict(reversed(found.items()))
    assert np.array_equal(merged(class_map, both, VALUES)[0], corrected)


def test_a_final_review_decides(class_map):
    found = layers(
        class_map,
        a=[act(1, "reject", SALT)],
        b=[act(2, "accept", SALT)],
        c=[act(3, "relabel", SALT, class_name="Mold")],
    )
    corrected, _, conflicts = merged(class_map, found, VALUES, final="c")
    assert conflicts == []
    assert (corrected[25:28, 30:36] == 7).all()
