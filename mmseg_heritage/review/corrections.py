"""What the acts of reviewers make of a predicted class map.

First each region becomes what was decided on it last; then strokes are drawn in their order. What
two reviewers want differently at a pixel stays as it was predicted, and is listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.review.review_file import (
    ACCEPT,
    COMMENT,
    DECISIONS,
    FINISH,
    PAINT,
    RELABEL,
    REOPEN,
    SCALE,
    STROKES,
    Act,
    ReviewedRegion,
)
from mmseg_heritage.taxonomy import BACKGROUND, CLEAN, IGNORE_INDEX, UNDECIDED, UNDECIDED_NAME
from mmseg_heritage.utils.text import did_you_mean

MAX_CONFLICTS = 1000
"""Conflicts of strokes that are listed of a photograph, from the top."""
_UNDECIDED = -1
Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""


@dataclass(frozen=True)
class Change:
    """What an act did to the map.

    Attributes:
        act: The act.
        before: Class of the pixels before; empty for a comment.
        after: Class of them now.
        pixels: How many changed; of an accepted region, how many there are.
        box: Around them, None for acts on the whole photograph.
        kept: Pixels of the region or stroke that have the class ``after`` in the corrected map:
            fewer where reviewers disagree, or a later stroke lies above.
    """

    act: Act
    before: str = ""
    after: str = ""
    pixels: int = 0
    box: Box | None = None
    kept: int = 0


@dataclass(frozen=True)
class Conflict:
    """Pixels of which reviewers want different things.

    Attributes:
        what: 'region 12 (Cracks)' or 'touch-up'.
        box: Around them.
        pixels: How many.
        said: File or reviewer -> what they want.
    """

    what: str
    box: Box
    pixels: int
    said: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Layer:
    """What the acts of one file say of one photograph.

    Attributes:
        values: Mask value where something was decided, -1 elsewhere, int16 (H, W).
        changes: What the acts did, in their order.
        decisions: Region -> the last act on it.
        is_finished: Whether the whole photograph was looked at.
    """

    values: NDArray[np.int16]
    changes: list[Change]
    decisions: Mapping[ReviewedRegion, Act]
    is_finished: bool


class Values:
    """Names of classes -> values in the map.

    Args:
        ids: Name -> value, of the classes of the prediction.

    Attributes:
        rest: Value of a region that was rejected, and of what is erased: Clean, or 255 where the
            classes have no Clean.
    """

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = {BACKGROUND.name: IGNORE_INDEX, **ids}
        names = {value: name for name, value in self._ids.items()}
        self._names = {UNDECIDED: UNDECIDED_NAME, **names}
        self.rest = self._ids.get(CLEAN, IGNORE_INDEX)

    def of(self, name: str) -> int:
        """Returns the value of a class.

        Raises:
            InputError: If there is no such class, with the one that was probably meant.
        """
        if name not in self._ids:
            near = did_you_mean(name, self._ids) or f"; known: {', '.join(self._ids)}"
            raise InputError(f"'{name[:100]}' is no class of the prediction{near}")
        return self._ids[name]

    def name(self, value: int) -> str:
        """Returns the name of the class of a value."""
        return self._names.get(value, str(value))


def region_mask(class_map: np.ndarray, value: int, box: Box) -> NDArray[np.bool_] | None:
    """Returns the pixels of a region in its box, bool (height, width); None if there is none.

    Two regions of a class whose pixels touch, diagonally too, are one; so of the regions in a box
    at most one reaches all of its four sides.

    Args:
        class_map: Mask values, uint8 (H, W).
        value: That of the region.
        box: Of the region.
    """
    left, top, width, height = box
    if left + width > class_map.shape[1] or top + height > class_map.shape[0]:
        return None
    mask = np.asarray(class_map[top : top + height, left : left + width]) == value
    _, ids, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    sizes = statistics[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    found = np.flatnonzero((sizes == (width, height)).all(axis=1))
    return None if len(found) == 0 else ids == found[0] + 1


def stroke_mask(
    points: Sequence[tuple[float, float]], radius: float, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Returns rows and columns, and in these the pixels whose centers are within a stroke.

    Args:
        points: Of a line, in pixels from the top left corner.
        radius: How far from the line it reaches.
        shape: Of the map, (H, W).
    """
    line = np.asarray(points, np.float64)
    low = np.maximum(np.floor(line.min(axis=0) - radius), 0).astype(int).tolist()
    high = np.ceil(line.max(axis=0) + radius).astype(int).tolist()
    (left, top), right, bottom = low, min(high[0], shape[1]), min(high[1], shape[0])
    part = (slice(top, max(bottom, top)), slice(left, max(right, left)))
    mask = np.zeros((part[0].stop - top, part[1].stop - left), bool)
    ends = line[1:] if len(line) > 1 else line
    for start, end in zip(line, ends, strict=False):
        _draw(mask, start - (left, top), end - (left, top), radius)
    return part, mask


def _draw(mask: NDArray[np.bool_], start: np.ndarray, end: np.ndarray, radius: float) -> None:
    """Sets the pixels of a mask whose centers are at most a radius from a piece of a line."""
    first = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(int)
    last = np.maximum(np.ceil(np.maximum(start, end) + radius), 0).astype(int)
    part = mask[first[1] : last[1], first[0] : last[0]]
    rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
    x, y = columns + 0.5 + first[0] - start[0], rows + 0.5 + first[1] - start[1]
    along = end - start
    length = float(along @ along)
    share = np.clip((x * along[0] + y * along[1]) / length, 0, 1) if length else 0.0
    part |= (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2 <= radius**2


def decided(class_map: np.ndarray, acts: Sequence[Act], values: Values) -> Layer:
    """Returns what the acts of one file say of one photograph.

    Args:
        class_map: The predicted mask values, uint8 (H, W).
        acts: Those on this photograph, in their order.
        values: Of the classes.

    Raises:
        InputError: With all regions that are not in the map, and all unknown classes.
    """
    problems: list[str] = []
    layer = np.full(class_map.shape, _UNDECIDED, np.int16)
    decisions = {act.region: act for act in acts if act.region and act.kind in DECISIONS}
    changes = []
    for region, act in decisions.items():
        try:
            changes.append(_decide(layer, class_map, region, act, values))
        except InputError as error:
            problems.append(f"{act.photograph}, act {act.id}: {error}")
    is_finished = False
    for act in acts:
        if act.kind in STROKES:
            try:
                changes += _stroke(layer, class_map, act, values)
            except InputError as error:
                problems.append(f"{act.photograph}, act {act.id}: {error}")
        elif act.kind == COMMENT:
            changes.append(Change(act, box=act.region.box if act.region else None))
        elif act.kind == SCALE:
            changes.append(Change(act))
        elif act.kind in (FINISH, REOPEN):
            is_finished = act.kind == FINISH
            changes.append(Change(act))
    if problems:
        raise InputError("the review does not fit the prediction", problems)
    order = {act.id: place for place, act in enumerate(acts)}
    changes.sort(key=lambda change: order[change.act.id])
    return Layer(layer, changes, decisions, is_finished)


def _decide(
    layer: NDArray[np.int16],
    class_map: np.ndarray,
    region: ReviewedRegion,
    act: Act,
    values: Values,
) -> Change:
    before = values.of(region.class_name)
    after = before if act.kind == ACCEPT else values.rest
    if act.kind == RELABEL:
        after = values.of(act.class_name)
    mask = region_mask(class_map, before, region.box)
    if mask is None or np.count_nonzero(mask) != region.pixels:
        raise InputError(
            f"the prediction has no region of {region.class_name} with {region.pixels} pixels in "
            f"the box {list(region.box)}"
        )
    left, top, width, height = region.box
    layer[top : top + height, left : left + width][mask] = after
    return Change(act, region.class_name, values.name(after), region.pixels, region.box)


def _stroke(
    layer: NDArray[np.int16], class_map: np.ndarray, act: Act, values: Values
) -> list[Change]:
    after = values.of(act.class_name) if act.kind == PAINT else values.rest
    (rows, columns), mask = stroke_mask(act.points, act.radius, class_map.shape)
    part = layer[rows, columns]
    there = np.where(part == _UNDECIDED, class_map[rows, columns], part)[mask]
    part[mask] = after
    box = (columns.start, rows.start, mask.shape[1], mask.shape[0])
    counts = np.bincount(there, minlength=1)
    changed = [int(v) for v in np.flatnonzero(counts) if v != after]
    if not changed:  # it says all the same that this was looked at
        return [Change(act, after=values.name(after), box=box)]
    return [Change(act, values.name(v), values.name(after), int(counts[v]), box) for v in changed]


def merged(
    class_map: np.ndarray, layers: Mapping[str, Layer], values: Values, final: str | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[Conflict]]:
    """Puts together what several files say.

    Args:
        class_map: The predicted mask values, uint8 (H, W).
        layers: What to call a file -> what it says.
        values: Of the classes.
        final: The file whose word counts where others disagree; None without one.

    Returns:
        The corrected mask values, uint8 (H, W), in conflicts as predicted; what was decided, bool
        (H, W), without conflicts; and the conflicts.
    """
    together = np.full(class_map.shape, _UNDECIDED, np.int16)
    differs = np.zeros(class_map.shape, bool)
    for layer in layers.values():
        is_new = together == _UNDECIDED
        differs |= ~is_new & (layer.values != _UNDECIDED) & (layer.values != together)
        together[is_new] = layer.values[is_new]
    if final is not None and final in layers:
        last = layers[final].values
        differs &= last == _UNDECIDED
        together = np.where(last == _UNDECIDED, together, last)
    is_decided = (together != _UNDECIDED) & ~differs
    corrected = np.where(is_decided, together, class_map).astype(np.uint8)
    return corrected, is_decided, _conflicts(class_map, differs, layers, values)


def _conflicts(
    class_map: np.ndarray, differs: NDArray[np.bool_], layers: Mapping[str, Layer], values: Values
) -> list[Conflict]:
    """Lists conflicts: regions first, then what is left of strokes."""
    if not differs.any():
        return []
    found, left_over = [], differs.copy()
    for region in dict.fromkeys(r for layer in layers.values() for r in layer.decisions):
        said = {n: la.decisions[region] for n, la in layers.items() if region in la.decisions}
        if len({(act.kind, act.class_name) for act in said.values()}) < 2:
            continue
        left, top, width, height = region.box
        part = (slice(top, top + height), slice(left, left + width))
        mask = region_mask(class_map, values.of(region.class_name), region.box)
        if mask is None or not (in_region := differs[part] & mask).any():
            continue
        left_over[part][in_region] = False
        texts = {name: _text(act) for name, act in said.items()}
        what = f"region {region.number} ({region.class_name})"
        found.append(Conflict(what, region.box, int(in_region.sum()), texts))
    return found + _stroke_conflicts(left_over, layers, values)


def _text(act: Act) -> str:
    what = f"{act.kind} as {act.class_name}" if act.kind == RELABEL else act.kind
    return f"{act.by} {act.at}: {what}"


def _stroke_conflicts(
    left_over: NDArray[np.bool_], layers: Mapping[str, Layer], values: Values
) -> list[Conflict]:
    if not left_over.any():
        return []
    number, ids, statistics, _ = cv2.connectedComponentsWithStats(left_over.view(np.uint8))
    found = []
    for i in range(1, min(number, MAX_CONFLICTS + 1)):
        left, top, width, height, pixels = map(int, statistics[i])
        row, column = np.argwhere(ids[top : top + height, left : left + width] == i)[0]
        there = {name: int(la.values[top + row, left + column]) for name, la in layers.items()}
        said = {name: values.name(v) for name, v in there.items() if v != _UNDECIDED}
        found.append(Conflict("touch-up", (left, top, width, height), pixels, said))
    return found


def with_kept(
    change: Change, class_map: np.ndarray, corrected: NDArray[np.uint8], values: Values
) -> Change:
    """Returns a change with the pixels that were kept of it.

    Args:
        change: What an act did.
        class_map: The predicted mask values, uint8 (H, W).
        corrected: Those at last.
        values: Of the classes.
    """
    act, region = change.act, change.act.region
    if act.kind in STROKES:
        part, mask = stroke_mask(act.points, act.radius, class_map.shape)
    elif act.kind in DECISIONS and region is not None:
        left, top, width, height = region.box
        part = (slice(top, top + height), slice(left, left + width))
        found = region_mask(class_map, values.of(region.class_name), region.box)
        mask = np.zeros((height, width), bool) if found is None else found
    else:
        return change
    kept = np.count_nonzero(corrected[part][mask] == values.of(change.after))
    return replace(change, kept=int(kept))


def change_row(change: Change) -> dict[str, Any]:
    """Returns a change as the columns of the table of changes."""
    act, box = change.act, change.box
    return {
        "photograph": act.photograph,
        "region": act.region.number if act.region else "",
        "act": act.kind,
        "by": act.by,
        "at": act.at,
        "before": change.before,
        "after": change.after,
        "pixels": change.pixels,
        "kept": change.kept,
        **dict(zip(("left", "top", "width", "height"), box or ("",) * 4, strict=True)),
        "comment": f"{act.length:g} {act.unit}" if act.kind == SCALE else act.text,
        "id": act.id,
    }
