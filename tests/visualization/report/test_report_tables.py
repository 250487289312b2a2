"""Tables of one run: the numbers of metrics.json, and those of single images from its counts."""

import numpy as np
import pytest

from mmseg_heritage.evaluation.summary import summarize
from mmseg_heritage.visualization.report.report_tables import (
    by_table,
    component_table,
    detail_table,
    image_table,
    level_table,
)


@pytest.fixture
def counts(random_counts):
    """Counts of 24 images, with a model's own heads."""
    return random_counts(images=24, own=True)


@pytest.mark.parametrize("level", ["fine", "coarse", "binary", "coarse_head"])
def test_levels_show_the_scores_of_the_metrics(counts, level):
    content = summarize(counts)
    rows = {row["class"]: row for row in level_table(content, level, "x").rows}
    for name, scores in content["levels"][level]["per_class"].items():
        assert rows[name]["iou"].value == scores["iou"]
        assert rows[name]["recall"] == scores["recall"]
        assert rows[name]["pixels"] == scores["support_pixels"]
    if level == "fine":
        clean = content["intervals"]["IoU.Clean"]
        assert (rows["Clean"]["iou"].low, rows["Clean"]["iou"].high) == (
            clean["low"],
            clean["high"],
        )
        assert rows["Clean"]["boundary"] == content["boundary"]["per_class"]["Clean"]["f1"]


def test_materials_and_sizes(counts):
    content = summarize(counts)
    rows = {row["material"]: row for row in by_table(content, "material").rows}
    assert set(rows) == {"Paper", "Glass", "Wood"}
    assert rows["Glass"]["mIoU"] == content["by_material"]["Glass"]["mIoU"]
    table = component_table(content)
    assert [row["found"] for row in table.rows] == [
        entry["found"] for entry in content["components"]["damage"]
    ]
    assert table.rows[0]["size"].startswith("1 to ")
    assert table.rows[-1]["size"].endswith(" or more")


def test_images_come_worst_first_with_shares_by_hand(counts):
    content = summarize(counts)
    table = image_table({"run": counts})
    order = [row["image"] for row in table.rows]
    worst = list(content["worst_decile"]["images"])
    assert order[: len(worst)] == worst
    assert sorted(order) == list(counts.ids)
    row = next(row for row in table.rows if row["image"] == counts.ids[3])
    matrix = counts.confusion[3]
    hit, total = matrix[1:, 1:].sum(), matrix.sum()
    assert row["labeled"] == pytest.approx(100 * matrix[1:].sum() / total)
    assert row["predicted"] == pytest.approx(100 * matrix[:, 1:].sum() / total)
    union = matrix[1:].sum() + matrix[:, 1:].sum() - hit
    assert row["damage_iou"] == pytest.approx(100 * hit / union)


def test_images_of_several_runs_and_without_a_score(counts, another_model):
    empty = counts.confusion.copy()
    empty[0] = 0
    first = type(counts)(**{**vars(counts), "confusion": empty})
    other = another_model(counts, gain=0.5).select(np.arange(5))
    table = image_table({"a": first, "b": other})
    assert [column.title for column in table.columns][:3] == ["image", "mIoU a", "mIoU b"]
    rows = {row["image"]: row for row in table.rows}
    assert rows[counts.ids[0]]["run 0"] is None
    assert "run 1" not in rows[counts.ids[9]]
    assert len(rows) == 24


def test_what_an_image_shows(counts):
    table = detail_table(counts, 0)
    matrix = counts.confusion[0]
    present = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    assert [row["class"] for row in table.rows] == [counts.classes[i] for i in present]
    assert sum(row["labeled"] for row in table.rows) == pytest.approx(100)
    assert sum(row["predicted"] for row in table.rows) == pytest.approx(100)
