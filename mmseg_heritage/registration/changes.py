"""What has changed between two maps of one object, region by region, beyond what a shift explains.

The map of AFTER lies in the frame of BEFORE, and its borders may be off by an error e. A pixel of
AFTER is gained where no pixel of the class is within e of it on BEFORE, and a pixel of BEFORE is
lost where none is within e of it on AFTER: no shift of at most e explains these. A region has
changed where more pixels are gained or lost than a disk of radius e holds, pi e^2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.quantities.center_lines import center_line
from mmseg_heritage.registration.homographies import Matrix, enlarged, warped_ids
from mmseg_heritage.taxonomy import IGNORE_INDEX, LINE

NEW, GROWN, SHRUNK, GONE = "new", "grown", "shrunk", "gone"
ONLY_BEFORE, ONLY_AFTER, UNCHANGED = "only before", "only after", "unchanged"
KINDS = (NEW, GROWN, SHRUNK, GONE, ONLY_BEFORE, ONLY_AFTER, UNCHANGED)
"""In the order of the list: 'only' is what the other photograph does not show, and 'unchanged'
means within the tolerance."""
_MOST = 0.5  # of the pixels of a region from which on another class has taken its place


@dataclass(frozen=True)
class RegionChange:
    """A region of one class on both photographs.

    Attributes:
        kind: One of :data:`KINDS`.
        class_id: Its class.
        box: Left, top, width and height in pixels of BEFORE; of AFTER where it is on AFTER only.
        before: Pixels on BEFORE, where both photographs show the object.
        after: Pixels on AFTER there, in pixels of BEFORE.
        tolerance: Pixels by which the difference of the two may be off: the error times the mean
            length of both borders.
        gained: Pixels of AFTER that are further than the error from all of BEFORE.
        lost: Pixels of BEFORE that are further than the error from all of AFTER.
        other: Class that most of a new region had before, or of one that is gone has now; None
            where that is no damage.
        is_cut: Whether a part of the region is where only one photograph shows the object.
        before_length: Of center lines on BEFORE in pixels; None of a class that is no line.
        after_length: The same on AFTER.
    """

    kind: str
    class_id: int
    box: tuple[int, int, int, int]
    before: int
    after: int
    tolerance: float
    gained: int = 0
    lost: int = 0
    other: int | None = None
    is_cut: bool = False
    before_length: float | None = None
    after_length: float | None = None


def find_changes(
    before: np.ndarray,
    after: np.ndarray,
    covered: NDArray[np.bool_],
    kinds: Sequence[str],
    damages: Sequence[int],
    error: float,
    min_pixels: int = 1,
) -> list[RegionChange]:
    """Compares two maps in one frame.

    Regions that are within the error of each other are one; a network of cracks is one region.

    Args:
        before: Class ids or 255, uint8 (H, W).
        after: The same of AFTER, in the frame of BEFORE.
        covered: Where both show the object.
        kinds: What each class is measured by.
        damages: Ids of the classes that are damage.
        error: Pixels that a border on AFTER may be off, above 0.
        min_pixels: Fewer gained or lost pixels are no change.

    Returns:
        The changes, without those on AFTER only (:func:`only_after`); see :func:`in_order`.
    """
    reach = math.ceil(error)
    inner = cv2.erode(covered.view(np.uint8), _disk(reach), borderValue=1) > 0
    maps = _Maps(before, after, covered, inner)
    least = max(math.pi * error**2, min_pixels - 1)
    found = []
    for class_id in damages:
        for part in _groups(maps, class_id, error):
            found.append(_change(part, class_id, kinds[class_id] == LINE, damages, error, least))
    return found


def only_after(
    after: np.ndarray, matrix: Matrix, known: NDArray[np.bool_], damages: Sequence[int]
) -> list[RegionChange]:
    """Returns the regions of AFTER of which BEFORE shows nothing.

    Args:
        after: Class ids or 255, uint8 (h, w), in its own frame.
        matrix: From AFTER to BEFORE.
        known: Where BEFORE shows the object, (H, W).
        damages: Ids of the classes that are damage.
    """
    shown = warped_ids(known.view(np.uint8), np.linalg.inv(matrix), after.shape, outside=0) > 0
    found = []
    for class_id in damages:
        mask = (after == class_id).view(np.uint8)
        if not mask.any():
            continue
        _, labels, boxes, middles = cv2.connectedComponentsWithStats(mask, connectivity=8)
        is_seen = np.zeros(len(boxes), bool)
        is_seen[np.unique(labels[shown])] = True
        for number in np.flatnonzero(~is_seen[1:]) + 1:
            left, top, width, height, pixels = boxes[number].tolist()
            area = round(pixels * float(enlarged(matrix, middles[number : number + 1])[0]))
            box = (left, top, width, height)
            found.append(RegionChange(ONLY_AFTER, class_id, box, 0, area, 0.0))
    return found


def in_order(changes: Sequence[RegionChange]) -> list[RegionChange]:
    """Returns changes by kind, the largest first."""
    return sorted(
        changes,
        key=lambda c: (KINDS.index(c.kind), -(c.gained + c.lost), -(c.before + c.after), c.box),
    )


@dataclass(frozen=True, eq=False)
class _Maps:
    """Maps or parts of them; ``inner`` is where a shift by the error stays covered."""

    before: np.ndarray
    after: np.ndarray
    covered: NDArray[np.bool_]
    inner: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Group:
    """Pixels of a class that belong together, in a part of the maps."""

    box: tuple[int, int, int, int]
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    maps: _Maps


def _disk(radius: int) -> NDArray[np.uint8]:
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    return (x * x + y * y <= radius * radius).astype(np.uint8)


def _groups(maps: _Maps, class_id: int, error: float) -> Iterator[_Group]:
    """Yields what is within the error of each other: half of it is added around each pixel."""
    own_before = maps.before == class_id
    own_after = (maps.after == class_id) & maps.covered
    both = (own_before | own_after).view(np.uint8)
    if not both.any():
        return
    near = cv2.dilate(both, _disk(math.ceil(error / 2)))
    number, labels, boxes, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    pad, (height, width) = math.ceil(error) + 2, both.shape
    for i in range(1, number):
        left, top, wide, high = boxes[i, :4].tolist()
        rows = slice(max(top - pad, 0), min(top + high + pad, height))
        columns = slice(max(left - pad, 0), min(left + wide + pad, width))
        here = labels[rows, columns] == i
        before, after = own_before[rows, columns] & here, own_after[rows, columns] & here
        y, x = np.nonzero(before | after)
        box = (
            int(x.min()) + columns.start, int(y.min()) + rows.start,
            int(np.ptp(x)) + 1, int(np.ptp(y)) + 1,
        )  # fmt: skip
        part = _Maps(
            *(m[rows, columns] for m in (maps.before, maps.after, maps.covered, maps.inner))
        )
        yield _Group(box, before, after, part)


def _change(
    group: _Group, class_id: int, is_line: bool, damages: Sequence[int], error: float, least: float
) -> RegionChange:
    covered, before, after = group.maps.covered, group.before, group.after
    compared = before & covered
    pixels = int(np.count_nonzero(compared)), int(np.count_nonzero(after))
    if not any(pixels):
        alone = int(np.count_nonzero(before))
        return RegionChange(ONLY_BEFORE, class_id, group.box, alone, 0, 0.0)
    # To all of BEFORE, also where AFTER ends; but AFTER is not known there.
    gained = int(np.count_nonzero(_farther(after, before, error)))
    lost = int(np.count_nonzero(_farther(before, after, error) & group.maps.inner))
    kind = _kind(pixels, gained, lost, least)
    other = None
    if kind in (NEW, GONE):
        ids = group.maps.before[after] if kind == NEW else group.maps.after[compared]
        other = _other_class(ids, damages)
    lengths = (_length(compared), _length(after)) if is_line else (None, None)
    tolerance = error * (_border(compared) + _border(after)) / 2
    is_cut = bool((before & ~covered).any() or (after & ~group.maps.inner).any())
    return RegionChange(
        kind, class_id, group.box, *pixels, tolerance, gained, lost, other, is_cut, *lengths
    )


def _kind(pixels: tuple[int, int], gained: int, lost: int, least: float) -> str:
    if max(gained, lost) <= least:
        return UNCHANGED
    if not pixels[0]:
        return NEW
    if not pixels[1]:
        return GONE
    return GROWN if gained >= lost else SHRUNK


def _farther(
    pixels: NDArray[np.bool_], others: NDArray[np.bool_], error: float
) -> NDArray[np.bool_]:
    """Returns the pixels that are farther than the error from all others."""
    if not others.any():
        return pixels
    away = cv2.distanceTransform((~others).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return pixels & (away > error)


def _other_class(ids: np.ndarray, damages: Sequence[int]) -> int | None:
    counts = np.bincount(ids, minlength=256)
    counts[IGNORE_INDEX] = 0
    most = int(counts.argmax())
    return most if most in damages and counts[most] >= _MOST * len(ids) else None


def _border(mask: NDArray[np.bool_]) -> float:
    """Returns the length of the border of a mask in pixels, by Crofton's formula."""
    from skimage.measure import perimeter_crofton  # here, since few commands need it

    return float(perimeter_crofton(np.pad(mask, 1), directions=4)) if mask.any() else 0.0


def _length(mask: NDArray[np.bool_]) -> float:
    return float(center_line(mask).length.sum()) if mask.any() else 0.0
