"""The scores of one run as tables for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS
from mmseg_heritage.evaluation.counts.confusion import class_scores, level_counts, level_iou
from mmseg_heritage.evaluation.means import damage_classes, image_scores
from mmseg_heritage.evaluation.score_tables import Cell, Column, Estimate, Table
from mmseg_heritage.evaluation.store import Counts
from mmseg_heritage.taxonomy import FINE_LEVEL

_CLASS_COLUMNS = (
    Column("class", "class"),
    Column("iou", "IoU"),
    Column("f1", "F1"),
    Column("precision", "precision"),
    Column("recall", "recall"),
    Column("images", "images"),
    Column("groups", "groups"),
    Column("pixels", "true pixels"),
)
_CLASS_NOTE = (
    "Percent, with 95 % intervals over source groups. Images, groups and true pixels: where the "
    f"labels show the class. Fewer than {MIN_GROUPS} groups give no interval: the score of such a "
    "class says little."
)
_BY_MEANS = ("mIoU", "damage_IoU", "coarse_mIoU", "mF1")


def level_table(content: Mapping[str, Any], level: str, caption: str) -> Table:
    """Lays out the scores of the classes of a level.

    Args:
        content: Content of ``metrics.json``.
        level: A key of its ``levels``.
        caption: Of the table.
    """
    fine = level == FINE_LEVEL
    prefix = "IoU." if fine else f"{level}.IoU."
    boundary = (content.get("boundary") or {}).get("per_class", {}) if fine else {}
    lines = (content.get("skeleton") or {}).get("per_class", {}) if fine else {}
    rows = []
    for name, row in content["levels"][level]["per_class"].items():
        ends = content["intervals"].get(prefix + name, {})
        rows.append(
            {
                "class": name,
                "iou": Estimate(row["iou"], ends.get("low"), ends.get("high")),
                **{key: row[key] for key in ("f1", "precision", "recall", "images")},
                "groups": row["source_groups"],
                "pixels": row["support_pixels"],
                "boundary": boundary.get(name, {}).get("f1"),
                "cldice": lines.get(name, {}).get("cldice"),
            }
        )
    columns = list(_CLASS_COLUMNS)
    if boundary:
        columns.insert(5, Column("boundary", "boundary F1"))
    if lines:
        columns.insert(5 + bool(boundary), Column("cldice", "clDice"))
    return Table(caption, columns, rows, (_CLASS_NOTE if fine else _level_note(content, level),))


def _level_note(content: Mapping[str, Any], level: str) -> str:
    """Says how a level above the classes is scored."""
    name = level.removesuffix("_head")
    key = "damage_IoU" if level == "binary" else f"{level}_mIoU"
    if name != level:
        key = "<level>_head_mIoU"
    return f"{level}: {content['definitions'].get(key, 'not defined')}."


def by_table(content: Mapping[str, Any], key: str) -> Table:
    """Lays out the scores of the images of each material or content.

    Args:
        content: Content of ``metrics.json``.
        key: 'material' or 'content'.
    """
    found = content[f"by_{key}"]
    shown = [k for k in _BY_MEANS if any(k in row for row in found.values())]
    columns = [
        Column(key, key),
        *(Column(k, k) for k in shown),
        Column("classes", "classes"),
        Column("images", "images"),
        Column("groups", "groups"),
    ]
    rows: list[dict[str, Cell]] = [
        {
            key: name,
            **{k: row.get(k) for k in shown},
            "classes": row["classes_in_mean"],
            "images": row["images"],
            "groups": row["source_groups"],
        }
        for name, row in found.items()
    ]
    note = (
        f"Percent, from the pixels of the images of each {key} together. Classes: how many mIoU is "
        "over; means over different classes are not comparable with each other."
    )
    return Table(f"By {key}", columns, rows, (note,))


def component_table(content: Mapping[str, Any]) -> Table:
    """Lays out how many connected damages were found, by their size.

    Args:
        content: Content of ``metrics.json`` with ``components``.
    """
    columns = (
        Column("size", "size in pixels"),
        Column("recall", "found, percent"),
        Column("found", "found"),
        Column("components", "in the labels"),
    )
    rows: list[dict[str, Cell]] = [
        {
            "size": f"{entry['from']:,} or more"
            if entry["below"] is None
            else f"{entry['from']:,} to {entry['below'] - 1:,}",
            **{key: entry[key] for key in ("recall", "found", "components")},
        }
        for entry in content["components"]["damage"]
    ]
    note = (
        "Connected regions of one class in the labels; found: at least "
        f"{100 * content['components']['found_share']:g} % of the pixels are predicted as it."
    )
    return Table("Damages found, by size", columns, rows, (note,))


def image_table(entries: Mapping[str, Counts]) -> Table:
    """Lays out the scores of each image, the lowest first.

    Args:
        entries: Label -> counts of a run. With one run its damage is shown too.
    """
    scores = {label: image_scores(counts.confusion) for label, counts in entries.items()}
    rows: dict[str, dict[str, Cell]] = {}
    for place, (label, counts) in enumerate(entries.items()):
        for i, name in enumerate(counts.ids):
            row = rows.setdefault(
                name,
                {
                    "image": name,
                    "group": counts.groups[i],
                    "material": counts.materials[i] or None,
                    "content": counts.contents[i] or None,
                },
            )
            row[f"run {place}"] = _number(scores[label][i])
    columns = [Column("image", "image")]
    columns += [
        Column(f"run {place}", "mIoU" if len(entries) == 1 else f"mIoU {label}")
        for place, label in enumerate(entries)
    ]
    if len(entries) == 1:
        columns += _add_damage(next(iter(entries.values())), rows)
    for key in ("material", "content", "group"):
        differs = any(row[key] != (name if key == "group" else None) for name, row in rows.items())
        if differs:
            columns.append(Column(key, key))
    ordered = sorted(rows.values(), key=lambda row: _first(row, len(entries)))
    note = (
        "Percent. mIoU of an image: mean over the classes in its labels or its prediction, where "
        "a few wrong pixels of a class that is not there count as a class with IoU 0."
    )
    return Table("Every tested image", columns, ordered, (note,), labels=1)


def detail_table(counts: Counts, index: int) -> Table:
    """Lays out what one image shows, and what was predicted.

    Args:
        counts: Counts of a run.
        index: Position of the image.
    """
    confusion = counts.confusion[index]
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    total = max(int(confusion.sum()), 1)
    iou = class_scores(confusion)["iou"]
    rows: list[dict[str, Cell]] = [
        {
            "class": counts.classes[i],
            "labeled": 100 * int(true[i]) / total,
            "predicted": 100 * int(predicted[i]) / total,
            "iou": _number(100 * iou[i]),
        }
        for i in np.flatnonzero(true + predicted)
    ]
    columns = (
        Column("class", "class"),
        Column("labeled", "labeled, % of pixels", digits=2),
        Column("predicted", "predicted, % of pixels", digits=2),
        Column("iou", "IoU"),
    )
    return Table("Classes in this image", columns, rows)


def _add_damage(counts: Counts, rows: Mapping[str, dict[str, Cell]]) -> Sequence[Column]:
    """Adds how much of each image is labeled and predicted as damage, where that is known."""
    binary = counts.levels.get("binary")
    if binary is None:
        return ()
    merged = level_counts(counts.confusion, binary.fine_to_group, len(binary.classes))
    iou = 100 * level_iou(merged)[:, 1]
    damage = damage_classes(counts.classes)
    total = np.maximum(counts.confusion.sum(axis=(1, 2)), 1)
    labeled = 100 * counts.confusion[:, damage].sum(axis=(1, 2)) / total
    predicted = 100 * counts.confusion[:, :, damage].sum(axis=(1, 2)) / total
    for i, name in enumerate(counts.ids):
        rows[name]["damage_iou"] = _number(iou[i])
        rows[name]["labeled"] = _number(labeled[i])
        rows[name]["predicted"] = _number(predicted[i])
    return (
        Column("damage_iou", "damage IoU"),
        Column("labeled", "labeled damage, %"),
        Column("predicted", "predicted damage, %"),
    )


def _first(row: Mapping[str, Cell], runs: int) -> tuple[float, str]:
    """Orders images by their mean over the runs, those without a score last."""
    scores = [row.get(f"run {place}") for place in range(runs)]
    found = [score for score in scores if isinstance(score, float)]
    return (sum(found) / len(found) if found else np.inf, str(row["image"]))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
