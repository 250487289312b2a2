"""Changes between maps in one frame: drawn ones are found, and shifts by the error are none."""

import math

import cv2
import numpy as np
import pytest

from mmseg_heritage.registration.changes import (
    GONE,
    GROWN,
    NEW,
    ONLY_AFTER,
    ONLY_BEFORE,
    SHRUNK,
    UNCHANGED,
    find_changes,
    in_order,
    only_after,
)
from mmseg_heritage.registration.homographies import warped_ids
from mmseg_heritage.registration.registering import HALF_DIAGONAL
from mmseg_heritage.taxonomy import AREA, LINE

KINDS = (AREA, AREA, LINE)
SHAPE = (200, 300)


def disk(ids, x, y, radius, value=1):
    cv2.circle(ids, (x, y), radius, value, -1)


def compared(before, after, error=1.0, covered=None, **more):
    covered = np.ones(SHAPE, bool) if covered is None else covered
    found = in_order(find_changes(before, after, covered, KINDS, (1, 2), error, **more))
    return found


def blank():
    return np.zeros(SHAPE, np.uint8)


def test_every_kind_is_found():
    before, after = blank(), blank()
    disk(before, 40, 40, 15), disk(after, 40, 40, 15)  # stays
    disk(before, 100, 40, 15), disk(after, 100, 40, 22)
    disk(before, 170, 40, 22), disk(after, 170, 40, 15)
    disk(before, 230, 40, 12), disk(after, 40, 120, 12)
    covered = np.ones(SHAPE, bool)
    covered[:, 250:] = False
    disk(before, 280, 150, 10)
    found = compared(before, after, 1.5, covered)
    assert [(c.kind, c.box[:2]) for c in found] == [
        (NEW, (28, 108)), (GROWN, (78, 18)), (SHRUNK, (148, 18)), (GONE, (218, 28)),
        (ONLY_BEFORE, (270, 140)), (UNCHANGED, (25, 25)),
    ]  # fmt: skip
    new, grown, shrunk, gone, only, same = found
    assert (new.before, new.after, new.gained) == (0, (after[100:, :60] == 1).sum(), new.after)
    assert (gone.after, gone.lost) == (0, gone.before)
    assert grown.gained == shrunk.lost > 400
    assert grown.lost == shrunk.gained == 0
    assert (same.before, same.after, same.gained, same.lost) == (same.before, same.before, 0, 0)
    assert (only.before, only.after, only.tolerance) == ((before[:, 250:] == 1).sum(), 0, 0)
    assert not any(c.is_cut for c in found)


def test_the_tolerance_is_the_error_times_the_border():
    before = blank()
    disk(before, 100, 100, 60)
    for error in (0.6, 2.0):
        (found,) = compared(before, before, error)
        assert found.tolerance == pytest.approx(error * 2 * math.pi * 60.5, rel=0.02)


@pytest.mark.parametrize("angle", range(0, 180, 30))
def test_a_shift_by_the_error_is_no_change(angle):
    before = blank()
    disk(before, 60, 60, 30)
    cv2.line(before, (120, 20), (280, 180), 2, 2)
    dx, dy = (round(4 * f(math.radians(angle))) for f in (math.cos, math.sin))
    after = np.roll(before, (dy, dx), (0, 1))
    found = compared(before, after, math.hypot(dx, dy) + 0.01)
    assert [c.kind for c in found] == [UNCHANGED, UNCHANGED]
    for c in found:
        assert abs(c.after - c.before) <= c.tolerance
    assert {c.kind for c in compared(before, after, 1.0)} - {UNCHANGED}


@pytest.mark.parametrize("size", [0.7, 1.0, 1.6])
def test_what_was_photographed_again_is_unchanged(size):
    rng = np.random.default_rng(0)
    before = blank()
    for _ in range(25):
        x, y = (int(rng.integers(10, side - 10)) for side in SHAPE[::-1])
        cv2.ellipse(before, (x, y), rng.integers(2, 14, 2).tolist(), 30, 0, 360, 1, -1)
        end = tuple(int(v + rng.integers(-60, 60)) for v in (x, y))
        cv2.line(before, (x, y), end, 2, int(rng.integers(2, 4)))
    angle = math.radians(17)
    cos, sin = size * math.cos(angle), size * math.sin(angle)
    there = np.array([[cos, -sin, 90 * size], [sin, cos, 20], [1e-5, 2e-5, 1]])
    shape = (round(330 * size), round(420 * size))
    back = np.linalg.inv(there)
    after = warped_ids(warped_ids(before, there, shape, 255), back, SHAPE, 255)
    covered = after != 255
    assert covered.mean() > 0.9
    found = compared(before, after, HALF_DIAGONAL * (1 + 1 / size) + 0.01, covered)
    # A thin line that a coarser AFTER breaks or loses in part is found all the same.
    assert {c.kind for c in found} <= {UNCHANGED, ONLY_BEFORE}
    for c in found:
        assert abs(c.after - c.before) <= c.tolerance


def test_a_thin_line_that_is_new_or_longer_is_seen():
    before, after = blank(), blank()
    before[50:52, 20:120], after[50:52, 20:160] = 2, 2
    after[100, 20:120] = 2
    new, grown = compared(before, after, 1.2)
    assert (new.kind, grown.kind) == (NEW, GROWN)
    assert new.after_length == pytest.approx(100, abs=2)
    assert (grown.before_length, grown.after_length) == pytest.approx((100, 140), abs=2)
    assert grown.gained == 2 * 39
    # The difference of areas alone would not have told.
    assert grown.after - grown.before < grown.tolerance


def test_a_speck_is_none():
    after = blank()
    after[10:12, 10:12] = 1
    (found,) = compared(blank(), after, 1.2)
    assert (found.kind, found.gained) == (UNCHANGED, 4)
    assert compared(blank(), after, 1.0)[0].kind == NEW
    assert compared(blank(), after, 1.0, min_pixels=5)[0].kind == UNCHANGED


def test_another_class_in_its_place_is_told():
    before, after = blank(), blank()
    disk(before, 100, 100, 20, 1), disk(after, 100, 100, 20, 2)
    new, gone = compared(before, after)
    assert (new.kind, new.class_id, new.other) == (NEW, 2, 1)
    assert (gone.kind, gone.class_id, gone.other) == (GONE, 1, 2)


def test_a_region_at_the_end_of_what_both_show():
    before, after = blank(), blank()
    before[80:120, 100:200] = after[80:120, 100:200] = 1
    covered = np.ones(SHAPE, bool)
    covered[:, 150:] = False
    after[~covered] = 255
    (found,) = compared(before, after, 2.0, covered)
    assert (found.kind, found.is_cut, found.before, found.after) == (UNCHANGED, True, 2000, 2000)
    # AFTER one pixel aside: what it does not show is not lost.
    (found,) = compared(before, np.roll(after, -2, 1), 2.5, covered & np.roll(covered, -2, 1))
    assert (found.kind, found.lost, found.gained) == (UNCHANGED, 0, 0)


def test_what_only_after_shows():
    after = np.zeros((100, 120), np.uint8)
    after[10:20, 10:20] = after[40:60, 40:60] = 1
    after[70:80, 90:110] = 2
    matrix = np.array([[1, 0, -50], [0, 1, -30], [0, 0, 1]], float)  # BEFORE begins at (50, 30)
    found = only_after(after, matrix, np.ones((60, 50), bool), (1, 2))
    assert [(c.kind, c.class_id, c.box, c.after) for c in found] == [
        (ONLY_AFTER, 1, (10, 10, 10, 10), 100)
    ]


def test_nothing_on_both():
    assert compared(blank(), blank()) == []
    assert only_after(blank(), np.eye(3), np.ones(SHAPE, bool), (1, 2)) == []
