"""What was measured, as content for JSON and as rows of tables.

A number that is not known, such as millimeters without a scale, is None, in tables an empty field.
Numbers keep nine digits.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmseg_heritage.quantities.measure import DIRECTIONS, ClassMeasure, Measurement
from mmseg_heritage.quantities.review_order import wrong_pixels
from mmseg_heritage.taxonomy import AREA, LINE, UNDECIDED_NAME
from mmseg_heritage.utils.files import replacing

AREA_COLUMNS = (
    "photograph", "class", "kind", "regions", "pixels", "percent_of_object", "percent_of_image",
    "area_mm2", "length_px", "length_mm", "mean_width_px", "mean_width_mm", "largest_width_px",
    "largest_width_mm", "density_mm_per_cm2", "mean_confidence",
    "scale_source",
)  # fmt: skip
REGION_COLUMNS = (
    "photograph", "region", "class", "kind", "left", "top", "width", "height", "centroid_x",
    "centroid_y", "pixels", "area_mm2", "mean_confidence", "length_px", "length_mm",
    "mean_width_px", "mean_width_mm", "largest_width_px", "largest_width_mm", "expected_wrong_px",
)  # fmt: skip
MOST_REGIONS = 100_000
"""Regions of a photograph that are listed, the largest; all are counted and measured."""

Cell = str | int | float | None


def class_records(found: Measurement, names: Sequence[str], kinds: Sequence[str]) -> dict[str, Any]:
    """Returns what was measured of each class, by its name, for JSON."""
    return {
        name: {"kind": kind, **_of_class(measured)}
        for name, kind, measured in zip(names, kinds, found.classes, strict=True)
    }


def _of_class(measured: ClassMeasure) -> dict[str, Any]:
    """Returns what was measured of a class; what a line has only where it is measured as one."""
    record: dict[str, Any] = {
        "regions": measured.regions,
        "pixels": measured.pixels,
        "share_of_object": measured.share_of_object,
        "share_of_image": measured.share_of_image,
        "area_mm2": _rounded(measured.area_mm2),
        "mean_confidence": _rounded(measured.mean_confidence),
    }
    line = measured.line
    if line is not None:
        record |= {
            "length_px": _rounded(line.length),
            "length_mm": _rounded(line.length_mm),
            "mean_width_px": _rounded(line.mean_width),
            "mean_width_mm": _rounded(line.mean_width_mm),
            "largest_width_px": _rounded(line.largest_width),
            "largest_width_mm": _rounded(line.largest_width_mm),
            "density_mm_per_cm2": _rounded(measured.density),
            "directions": {
                "degrees": [i * 180 // DIRECTIONS for i in range(DIRECTIONS)],
                "length": [_rounded(value) for value in line.directions],
                "unit": "px" if line.length_mm is None else "mm",
            },
        }
    return record


def undecided_record(found: Measurement) -> dict[str, Any]:
    """Returns what was measured of the pixels without a class, for JSON."""
    pixels, (height, width) = found.undecided_pixels, found.shape
    return {
        "pixels": pixels,
        "share_of_object": pixels / found.object_pixels if found.object_pixels else None,
        "share_of_image": pixels / (height * width),
        "area_mm2": None if found.scale is None else _rounded(pixels * found.scale.pixel_area),
    }


def area_rows(
    photograph: str,
    classes: Mapping[str, Mapping[str, Any]],
    undecided: Mapping[str, Any] | None = None,
    scale_source: str | None = None,
) -> Iterator[list[Cell]]:
    """Yields the rows of :data:`AREA_COLUMNS` of a photograph from :func:`class_records`.

    What is not decided, as :func:`undecided_record` gives it, has a row where there is some;
    ``scale_source`` says where millimeters come from.
    """
    records = dict(classes)
    if undecided and undecided["pixels"]:
        records[UNDECIDED_NAME] = {"kind": AREA, **undecided}
    for name, record in records.items():
        percent = {
            f"percent_of_{whole}": _percent(record[f"share_of_{whole}"])
            for whole in ("object", "image")
        }
        cells = {"photograph": photograph, "class": name, **record, **percent}
        cells["scale_source"] = scale_source
        yield [cells.get(column) for column in AREA_COLUMNS]


def region_rows(
    photograph: str, found: Measurement, names: Sequence[str], kinds: Sequence[str]
) -> Iterator[list[Cell]]:
    """Yields the rows of :data:`REGION_COLUMNS` of the largest :data:`MOST_REGIONS` regions.

    Places are those of pixel corners: the top left pixel reaches from 0 to 1, and its center is at
    0.5.
    """
    table, scale = found.regions, found.scale
    wrong = wrong_pixels(found)
    for number in range(min(len(table), MOST_REGIONS)):
        of_class = int(table.classes[number])
        v = {name: float(values[number]) for name, values in table.values.items()}
        sure = found.classes[of_class].mean_confidence is not None
        is_line, pixels = kinds[of_class] == LINE, v["pixels"]
        has_mm = is_line and scale is not None and v["length_mm"] > 0
        has_px = is_line and v["length"] > 0
        yield [
            photograph,
            number + 1,
            names[of_class],
            kinds[of_class],
            int(v["left"]),
            int(v["top"]),
            int(v["right"] - v["left"]),
            int(v["bottom"] - v["top"]),
            round(v["column_sum"] / pixels + 0.5, 2),
            round(v["row_sum"] / pixels + 0.5, 2),
            int(pixels),
            None if scale is None else _rounded(pixels * scale.pixel_area),
            round(v["confidence_sum"] / pixels, 4) if sure else None,
            _rounded(v["length"]) if is_line else None,
            _rounded(v["length_mm"]) if is_line and scale is not None else None,
            _rounded(v["width_sum"] / v["length"]) if has_px else None,
            _rounded(v["width_sum_mm"] / v["length_mm"]) if has_mm else None,
            _rounded(v["largest_width"]) if has_px else None,
            _rounded(v["largest_width_mm"]) if has_mm else None,
            None if wrong is None else round(float(wrong[number]), 1),
        ]


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Writes a CSV (RFC 4180, UTF-8), replacing ``path`` in one step; None is an empty field."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def _percent(share: float | None) -> float | None:
    return _rounded(None if share is None else 100 * share)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.9g}")
