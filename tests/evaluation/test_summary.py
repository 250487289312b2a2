"""metrics.json and per_class.csv: complete, consistent, plain, and refused where they are old."""

import csv
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS
from mmseg_heritage.evaluation.means import all_means
from mmseg_heritage.evaluation.summary import (
    SCHEMA,
    load_metrics,
    plain,
    summarize,
    write_per_class,
)
from mmseg_heritage.utils.files import write_json

_OF_PARTS = ("boundary_mF1", "mclDice", "ECE")  # not counted for predicting Clean everywhere


def test_every_number_is_plain_and_comes_with_what_it_means(random_counts, tmp_path):
    counts = random_counts(images=40, own=True)
    content = summarize(counts)
    write_json(tmp_path / "metrics.json", content)  # refuses NaN
    assert load_metrics(tmp_path / "metrics.json") == json.loads(json.dumps(content))
    assert content["images"] == 40
    assert content["source_groups"] == 20
    for key, values in all_means(counts).items():
        assert content["overall"][key] == pytest.approx(values[0])
        assert key in content["all_clean"] or "head" in key or key in _OF_PARTS
    names = " ".join(content["definitions"])
    for key in content["overall"]:
        if "head" not in key and key != "classes_in_mean":
            assert key in names, f"{key} is not defined"


def test_levels_agree_with_the_means(random_counts):
    content = summarize(random_counts(images=30, own=True))
    levels, means = content["levels"], content["overall"]
    assert list(levels) == ["fine", "coarse", "binary", "coarse_head", "binary_head"]
    assert levels["fine"]["means"]["present"]["iou"] == pytest.approx(means["mIoU"])
    assert levels["fine"]["means"]["damage"]["iou"] == pytest.approx(means["damage_classes_mIoU"])
    assert levels["fine"]["means"]["supported"]["iou"] == pytest.approx(means["supported_mIoU"])
    assert levels["fine"]["means"]["present"]["classes"] == means["classes_in_mean"]
    assert levels["fine"]["aAcc"] == pytest.approx(means["aAcc"])
    for name in ("coarse", "binary", "coarse_head", "binary_head"):
        assert levels[name]["means"]["present"]["iou"] == pytest.approx(means[f"{name}_mIoU"])
    damage = levels["binary"]["per_class"]["Damage"]
    assert damage["iou"] == pytest.approx(means["damage_IoU"])
    fine = levels["fine"]["per_class"]
    pixels = sum(row["support_pixels"] for name, row in fine.items() if name != "Clean")
    assert damage["support_pixels"] == pixels
    for row in fine.values():
        assert row["supported"] == (row["source_groups"] >= MIN_GROUPS)


def test_parts_that_were_not_counted_are_null(random_counts):
    counts = random_counts()
    empty = np.zeros((0, 0, 0))
    content = summarize(replace(counts, boundary=empty, components=empty, calibration=empty))
    assert [content[part] for part in ("boundary", "components", "calibration")] == [None] * 3
    assert "ECE" not in content["overall"]


def test_components_and_calibration_add_up(random_counts):
    counts = random_counts()
    content = summarize(counts)
    total = sum(b["components"] for b in content["components"]["damage"])
    assert total == counts.components[:, 1:, :, 0].sum()  # Clean is no damage
    assert content["components"]["damage"][-1]["below"] is None
    pixels = [b["pixels"] for b in content["calibration"]["bins"]]
    assert sum(pixels) == counts.calibration[..., 0].sum()
    error = sum(
        b["pixels"] * abs(b["accuracy"] - b["confidence"]) for b in content["calibration"]["bins"]
    )
    assert content["overall"]["ECE"] == pytest.approx(error / sum(pixels))


def test_materials_and_contents_are_scored_apart(random_counts):
    counts = random_counts(images=12)
    content = summarize(counts)
    assert list(content["by_material"]) == ["Glass", "Paper", "Wood"]
    assert list(content["by_content"]) == ["unknown", "Line art"]
    glass = summarize(counts.select(np.array(counts.materials) == "Glass"))
    assert content["by_material"]["Glass"]["mIoU"] == pytest.approx(glass["overall"]["mIoU"])
    assert content["by_material"]["Glass"]["images"] == 4
    assert summarize(replace(counts, materials=("",) * 12))["by_material"] == {}


def test_a_class_without_support_everywhere_is_null_everywhere(random_counts, tmp_path):
    counts = random_counts(images=30)
    counts.confusion[:, 5] = counts.confusion[:, :, 5] = 0
    counts.components[:, 5] = counts.boundary[:, 5] = 0
    content = summarize(counts)
    row = content["levels"]["fine"]["per_class"]["Hair"]
    scores = ("iou", "f1", "precision", "recall", "accuracy", "image_iou")
    assert {row[key] for key in scores} == {None}
    assert (row["support_pixels"], row["images"], row["supported"]) == (0, 0, False)
    assert content["boundary"]["per_class"]["Hair"]["f1"] is None
    assert all(b["recall"] is None for b in content["components"]["per_class"]["Hair"])
    assert content["intervals"]["IoU.Hair"]["low"] is None
    assert content["overall"]["classes_in_mean"] == 15
    write_per_class(tmp_path / "per_class.csv", content)
    with (tmp_path / "per_class.csv").open(newline="") as file:
        rows = {(r["level"], r["class"]): r for r in csv.DictReader(file)}
    assert rows["fine", "Hair"]["iou"] == ""
    assert rows["fine", "Hair"]["images"] == "0"


def test_the_table_holds_every_class_of_every_level(random_counts, tmp_path):
    content = summarize(random_counts(images=40, classes=("Clean", 'Moss, "green"', "Peel")))
    write_per_class(tmp_path / "per_class.csv", content)
    with (tmp_path / "per_class.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    expected = [(level, name) for level, r in content["levels"].items() for name in r["per_class"]]
    assert [(row["level"], row["class"]) for row in rows] == expected
    for row in rows:
        scores = content["levels"][row["level"]]["per_class"][row["class"]]
        if row["iou"]:
            assert float(row["iou"]) == scores["iou"]
            assert float(row["iou_low"]) <= scores["iou"] <= float(row["iou_high"])
    assert rows[1]["boundary_f1"]


def test_classes_without_clean_are_not_scored_as_damage(random_counts):
    content = summarize(random_counts(classes=("Peel", "Dust")))
    assert list(content["levels"]) == ["fine", "coarse"]
    assert content["all_clean"] is None
    assert "damage_IoU" not in content["overall"]


def test_files_that_cannot_be_used_are_named(tmp_path):
    path = tmp_path / "metrics.json"
    with pytest.raises(InputError, match=r"no such file; test\.py writes it"):
        load_metrics(path)
    for text, message in (
        ("{", "expected scores in JSON"),
        ("[]", f"expected the schema {SCHEMA}, found list; test the checkpoint again"),
        ('{"schema": "mmseg_heritage/metrics/1"}', "found mmseg_heritage/metrics/1; test the"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_metrics(path)


def test_content_becomes_plain():
    content = {1: np.float32(0.5), "a": (np.int64(3), np.nan, [np.array([1.0, np.nan])], True)}
    assert plain(content) == {"1": 0.5, "a": [3, None, [[1.0, None]], True]}


def test_scores_are_read_without_torch():
    code = (
        "import sys, mmseg_heritage.evaluation.summary, mmseg_heritage.evaluation.store\n"
        "assert not {'torch', 'mmengine', 'mmseg'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
