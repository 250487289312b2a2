"""What was measured as JSON and tables."""

import csv
import json

import numpy as np

from mmseg_heritage.quantities import records
from mmseg_heritage.quantities.measure import measure
from mmseg_heritage.quantities.records import (
    AREA_COLUMNS,
    REGION_COLUMNS,
    area_rows,
    class_records,
    region_rows,
    write_table,
)
from mmseg_heritage.quantities.scale import Scale

NAMES, KINDS = ("Clean", "Stain", "Cracks", "Hole"), ("area", "area", "line", "count")


def measured(scale=None, confidence=None):
    classes = np.zeros((60, 120), np.uint8)
    classes[10:20, 10:14] = 1
    classes[40:43, 10:110] = 2
    classes[5, 100] = 3
    return measure(classes, KINDS, scale, confidence, clean=0)


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_of_areas(tmp_path):
    found = measured(Scale(0.1, 0.1, ""))
    write_table(
        tmp_path / "areas.csv",
        AREA_COLUMNS,
        area_rows('a "b", c', class_records(found, NAMES, KINDS)),
    )
    clean, stain, cracks, hole = table(tmp_path / "areas.csv")
    assert stain["photograph"] == 'a "b", c'
    assert (stain["area_mm2"], stain["regions"], stain["length_px"]) == ("0.4", "1", "")
    assert (clean["regions"], hole["regions"]) == ("", "1")
    assert abs(float(cracks["length_mm"]) - 10) < 0.1
    assert float(cracks["mean_width_px"]) == 3
    density = float(cracks["length_mm"]) / (60 * 120 * 0.01 / 100)
    assert float(cracks["density_mm_per_cm2"]) == float(f"{density:.9g}")
    assert stain["mean_confidence"] == ""


def test_the_table_of_regions(tmp_path):
    confidence = np.full((60, 120), 51, np.uint8)
    found = measured(Scale(0.1, 0.1, ""), confidence)
    rows = region_rows("a", found, NAMES, KINDS)
    write_table(tmp_path / "regions.csv", REGION_COLUMNS, rows)
    cracks, stain, hole = table(tmp_path / "regions.csv")
    box = [cracks[name] for name in ("left", "top", "width", "height")]
    assert box == ["10", "40", "100", "3"]
    assert (cracks["centroid_x"], cracks["centroid_y"]) == ("60.0", "41.5")
    assert (hole["centroid_x"], hole["centroid_y"]) == ("100.5", "5.5")
    assert {row["mean_confidence"] for row in (cracks, stain, hole)} == {"0.2"}
    assert [row["region"] for row in (cracks, stain, hole)] == ["1", "2", "3"]
    assert stain["length_px"] == ""
    assert float(cracks["largest_width_mm"]) == 0.3


def test_without_a_scale_millimeters_are_empty(tmp_path):
    found = measured()
    content = json.loads(json.dumps(class_records(found, NAMES, KINDS), allow_nan=False))
    assert content["Cracks"]["length_mm"] is None
    assert content["Cracks"]["directions"]["unit"] == "px"
    rows = list(region_rows("a", found, NAMES, KINDS))
    columns = [i for i, name in enumerate(REGION_COLUMNS) if name.endswith("mm")]
    assert all(row[i] is None for row in rows for i in columns)


def test_only_the_largest_regions_are_listed(monkeypatch):
    monkeypatch.setattr(records, "MOST_REGIONS", 2)
    assert len(list(region_rows("a", measured(), NAMES, KINDS))) == 2
