"""What compare-photographs writes: the list of changes, the pictures, and the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.apis.prediction_folder import short_number
from mmseg_heritage.images.resizing import fitted_size
from mmseg_heritage.images.writing import write_image
from mmseg_heritage.quantities.records import Cell, write_table
from mmseg_heritage.quantities.scale import FoundScale, Scale
from mmseg_heritage.registration.changes import KINDS, NEW, ONLY_AFTER, RegionChange
from mmseg_heritage.registration.homographies import scaled, warped_image
from mmseg_heritage.registration.registering import Registration
from mmseg_heritage.taxonomy import IGNORE_INDEX, Color
from mmseg_heritage.utils.files import replacing, write_json
from mmseg_heritage.version import __version__
from mmseg_heritage.visualization.condition.changes_page import (
    ChangeRow,
    ChangesPage,
    ClassRow,
    changes_page,
)
from mmseg_heritage.visualization.figures.shown_maps import shown_map

SCHEMA = "mmseg_heritage/photograph_changes/1"
CHANGES, PAGE = "changes.json", "index.html"
COLUMNS = (
    "number", "class", "change", "frame", "left", "top", "width", "height", "before_px", "after_px",
    "difference_px", "tolerance_px", "gained_px", "lost_px", "before_mm2", "after_mm2",
    "difference_mm2", "tolerance_mm2", "before_length_px", "after_length_px", "other_class", "cut",
)  # fmt: skip
EDGE = 2000
"""Long edge in pixels of the pictures of the page."""
MOST_ROWS = 500
"""Changes on the page; all are in the tables."""
_PAPER = 128  # gray level where AFTER shows nothing
_TINT = 110  # opacity of damage, 0 to 255
_NOTE = (
    "machine suggestion, to be reviewed by a conservator; areas are in pixels of BEFORE, where "
    "both photographs show the object; the tolerance is that of the registration, not of the model"
)


@dataclass(frozen=True, eq=False)
class ComparedMaps:
    """Two photographs and their maps in the frame of BEFORE.

    Attributes:
        names: Classes.
        colors: In which they are shown.
        damages: Positions of those that are damage.
        before: Positions of classes or 255, uint8 (H, W).
        after: The same of AFTER, 255 where it shows nothing.
        covered: Where both show the object.
        images: The photographs, uint8 (H, W, 3), each in its own frame.
        registration: How AFTER lies over BEFORE.
        error: Pixels that a border may be off.
        scale: Of BEFORE.
        facts: Of the photographs, for JSON: 'before' and 'after'.
        remarks: What the person should know.
    """

    names: Sequence[str]
    colors: Sequence[Color]
    damages: Sequence[int]
    before: np.ndarray
    after: np.ndarray
    covered: NDArray[np.bool_]
    images: tuple[np.ndarray, np.ndarray]
    registration: Registration
    error: float
    scale: FoundScale
    facts: Mapping[str, Mapping[str, Any]]
    remarks: Sequence[str]


def write_comparison(
    folder: Path,
    maps: ComparedMaps,
    changes: Sequence[RegionChange],
    settings: Mapping[str, Any],
) -> None:
    """Writes changes.csv, changes.json, the pictures and the page into a folder."""
    scale = maps.scale.scale
    rows = [_row(number, change, maps.names, scale) for number, change in enumerate(changes, 1)]
    write_table(folder / "changes.csv", COLUMNS, ([row[c] for c in COLUMNS] for row in rows))
    classes = class_totals(maps, changes)
    write_json(folder / CHANGES, _content(maps, rows, classes, settings))
    _write_pictures(folder, maps)
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(changes_page(_page(maps, changes, classes)), encoding="utf-8")


def _row(
    number: int, change: RegionChange, names: Sequence[str], scale: Scale | None
) -> dict[str, Cell]:
    """Returns a change as the columns of the table; None is an empty field."""
    areas = {
        "before": change.before,
        "after": change.after,
        "difference": change.after - change.before,
        "tolerance": round(change.tolerance, 1),
    }
    return {
        "number": number,
        "class": names[change.class_id],
        "change": change.kind,
        "frame": "after" if change.kind == ONLY_AFTER else "before",
        **dict(zip(("left", "top", "width", "height"), change.box, strict=True)),
        **{f"{name}_px": value for name, value in areas.items()},
        "gained_px": change.gained,
        "lost_px": change.lost,
        **{
            f"{name}_mm2": None if scale is None else float(f"{value * scale.pixel_area:.9g}")
            for name, value in areas.items()
        },
        "before_length_px": _rounded(change.before_length),
        "after_length_px": _rounded(change.after_length),
        "other_class": None if change.other is None else names[change.other],
        "cut": "yes" if change.is_cut else "no",
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def class_totals(maps: ComparedMaps, changes: Sequence[RegionChange]) -> dict[str, dict[str, Any]]:
    """Returns, for each class with a change or a region, its areas and numbers of changes.

    Areas are those where both photographs show the object; the tolerance is the sum of those of the
    regions, as if all were off to one side.
    """
    totals: dict[str, dict[str, Any]] = {}
    for change in changes:
        row = totals.setdefault(
            maps.names[change.class_id],
            {"before_px": 0, "after_px": 0, "tolerance_px": 0.0, **dict.fromkeys(KINDS, 0)},
        )
        row[change.kind] += 1
        if not change.kind.startswith("only"):
            row["before_px"] += change.before
            row["after_px"] += change.after
            row["tolerance_px"] = round(row["tolerance_px"] + change.tolerance, 1)
    return totals


def _content(
    maps: ComparedMaps,
    rows: Sequence[Mapping[str, Cell]],
    classes: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    found = maps.registration
    return {
        "schema": SCHEMA,
        "note": _NOTE,
        "version": __version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        **maps.facts,
        "registration": {
            "matrix": [[float(f"{v:.12g}") for v in row] for row in found.matrix.tolist()],
            "residual_px": round(found.residual, 3),
            "spread_px": round(found.spread, 3),
            "after_pixel_px": round(found.pixel, 4),
            "places": found.places,
            "places_tried": found.tried,
            "matches": found.matches,
            "inliers": found.inliers,
            "correlation": round(found.correlation, 4),
            "overlap": round(found.overlap, 4),
        },
        "error_px": round(maps.error, 3),
        "settings": settings,
        "scale": maps.scale.content(),
        "remarks": list(maps.remarks),
        "classes": classes,
        "changes": rows,
    }


def _write_pictures(folder: Path, maps: ComparedMaps) -> None:
    """Writes both photographs and what was found on them, in the frame of BEFORE."""
    before, after = maps.images
    height, width = before.shape[:2]
    size = fitted_size(width, height, EDGE)
    scale = max(size) / max(width, height)
    small = cv2.resize(before, size, interpolation=cv2.INTER_AREA)
    write_image(folder / "before.jpg", small)
    # AFTER is shrunk before it is moved: interpolation looks at four pixels only.
    edge = max(after.shape[:2])
    other_size = fitted_size(after.shape[1], after.shape[0], min(EDGE, edge))
    other = cv2.resize(after, other_size, interpolation=cv2.INTER_AREA)
    matrix = scaled(maps.registration.matrix, 1 / scale, edge / max(other_size))
    write_image(folder / "after.jpg", warped_image(other, matrix, size[::-1], _PAPER))
    for name, ids in (("before", maps.before), ("after", maps.after)):
        _write_layer(folder / f"{name}_damage.png", shown_map(ids, max(size), None), maps)


def _write_layer(path: Path, ids: NDArray[np.uint8], maps: ComparedMaps) -> None:
    """Writes damage as a transparent picture: tinted, with outlines."""
    layer = np.zeros((*ids.shape, 4), np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    for position in maps.damages:
        mask = (ids == position).view(np.uint8)
        if mask.any():
            edge = mask > cv2.erode(mask, kernel, borderValue=0)
            layer[mask > 0] = (*maps.colors[position], _TINT)
            layer[edge] = (*maps.colors[position], 255)
    write_image(path, layer)


def _page(
    maps: ComparedMaps,
    changes: Sequence[RegionChange],
    classes: Mapping[str, Mapping[str, Any]],
) -> ChangesPage:
    height, width = maps.before.shape
    return ChangesPage(
        maps.facts["before"]["image"],
        maps.facts["after"]["image"],
        (width, height),
        list(_facts(maps)),
        [_class_row(name, row, maps) for name, row in classes.items()],
        [_change_row(n, change, maps) for n, change in enumerate(changes[:MOST_ROWS], start=1)],
        max(len(changes) - MOST_ROWS, 0),
    )


def _facts(maps: ComparedMaps) -> Iterator[tuple[str, str]]:
    found = maps.registration
    places = f"at {found.places} of {found.tried} places"
    where = places if found.places else "of the matched features"
    yield (
        "Registration",
        f"95 of 100 places are within {found.residual:.2f} px, measured {where}; "
        f"{found.inliers:,} of {found.matches:,} matched features agree; correlation "
        f"{found.correlation:.2f}",
    )
    yield "Error of a border", f"{maps.error:.2f} px{_in_mm(maps)}"
    yield "Seen on both", f"{100 * float(maps.covered.mean()):.1f} % of BEFORE"
    for name in ("before", "after"):
        facts = maps.facts[name]
        by = f", corrected by {', '.join(facts['reviewed_by'])}" if facts["reviewed_by"] else ""
        yield name.upper(), f"{facts['image']}, {facts['width']} x {facts['height']} px{by}"
    for remark in maps.remarks:
        yield "Remark", remark


def _in_mm(maps: ComparedMaps) -> str:
    scale = maps.scale.scale
    return "" if scale is None else f" ({short_number(maps.error * scale.across)} mm)"


def _area(pixels: float, scale: Scale | None) -> str:
    if scale is None:
        return f"{pixels:,.0f} px\N{SUPERSCRIPT TWO}"
    sign = "-" if pixels < 0 else ""
    return f"{sign}{short_number(abs(pixels) * scale.pixel_area)} mm\N{SUPERSCRIPT TWO}"


def _difference(pixels: float, tolerance: float, scale: Scale | None) -> str:
    sign = "+" if pixels > 0 else ""
    return f"{sign}{_area(pixels, scale)} \N{PLUS-MINUS SIGN} {_area(tolerance, scale)}"


def _class_row(name: str, row: Mapping[str, Any], maps: ComparedMaps) -> ClassRow:
    scale = maps.scale.scale
    return ClassRow(
        name,
        maps.colors[list(maps.names).index(name)],
        _area(row["before_px"], scale),
        _area(row["after_px"], scale),
        _difference(row["after_px"] - row["before_px"], row["tolerance_px"], scale),
        [row[kind] for kind in KINDS],
    )


def _change_row(number: int, change: RegionChange, maps: ComparedMaps) -> ChangeRow:
    scale = maps.scale.scale
    height, width = maps.before.shape
    left, top, wide, high = change.box
    remarks = []
    if change.other is not None:
        word = "was" if change.kind == NEW else "is now"
        remarks.append(f"{word} {maps.names[change.other]}")
    if change.is_cut:
        remarks.append("goes on where only one photograph shows the object")
    if change.before_length is not None and change.after_length is not None:
        remarks.append(f"length {change.before_length:,.0f} to {change.after_length:,.0f} px")
    is_alone = change.kind.startswith("only")
    return ChangeRow(
        number,
        change.kind,
        maps.names[change.class_id],
        maps.colors[change.class_id],
        None
        if change.kind == ONLY_AFTER
        else (left / width, top / height, wide / width, high / height),
        f"x {left}\N{EN DASH}{left + wide}, y {top}\N{EN DASH}{top + high}",
        _area(change.before, scale),
        _area(change.after, scale),
        "" if is_alone else _difference(change.after - change.before, change.tolerance, scale),
        _area(change.gained, scale),
        _area(change.lost, scale),
        "; ".join(remarks),
    )


def outside_as_255(ids: np.ndarray, outside: Sequence[int]) -> np.ndarray:
    """Returns a map in which classes outside the object are 255 too."""
    table = np.arange(256, dtype=np.uint8)
    table[list(outside)] = IGNORE_INDEX
    return table[ids]
