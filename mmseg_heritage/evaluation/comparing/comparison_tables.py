"""A comparison of runs as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS
from mmseg_heritage.evaluation.comparing.comparison import COST, is_class
from mmseg_heritage.evaluation.score_tables import Cell, Column, Estimate, Table

MEANS = (
    "mIoU",
    "damage_classes_mIoU",
    "supported_mIoU",
    "damage_IoU",
    "coarse_mIoU",
    "mF1",
)
"""What the table of scores shows; all others are among the differences and in the files."""

_RUNS_ABREAST = 4
_UNITS = (
    "Percent, with 95 % intervals over source groups. mIoU, damage_classes_mIoU and mF1 are over "
    "the classes that a resample happens to have, supported_mIoU is over the same ones in all."
)
_NOT_SEPARABLE = "not separable"
_VERDICT = (
    f"'{_NOT_SEPARABLE}': these images do not tell the two apart, which does not show that they "
    "are equal."
)


def comparison_tables(content: Mapping[str, Any]) -> list[Table]:
    """Lays a comparison out for reading.

    Args:
        content: What :func:`mmseg_heritage.evaluation.comparing.comparison.compare_entries`
            returns.

    Returns:
        Scores, their spread over seeds where there are several, size and speed where a test tells
        them, IoU by class, and differences to the reference in the means and by class.
    """
    tables = [_score_table(content)]
    if any(len(run["seeds"]) > 1 for run in content["runs"].values()):
        tables += _seed_tables(content)
    if any(run["cost"][key] is not None for run in content["runs"].values() for key in COST):
        tables.append(_cost_table(content))
    tables += _class_tables(content)
    for of_classes in (False, True):
        table = _difference_table(content, of_classes)
        if table.rows:
            tables.append(table)
    return tables


def long_table(content: Mapping[str, Any]) -> Table:
    """Lists every number of a comparison, a row for each run and score, for other programs.

    Args:
        content: See :func:`comparison_tables`.
    """
    columns = ["run", "kind", "score", "value", "groups", "resamples", "seeds", "seeds_std",
               "reference", "difference", "p", "p_holm", "verdict", "note"]  # fmt: skip
    rows: list[dict[str, Cell]] = []
    for label, run in content["runs"].items():
        compared = content["differences"].get(label, {}).get("scores", {})
        for key, entry in run["scores"].items():
            row: dict[str, Cell] = {
                "run": label,
                "kind": "class" if is_class(key) else "mean",
                "score": key,
                "value": _estimate(entry, "value"),
                "groups": entry["groups"],
                "resamples": entry["resamples"],
                "seeds": entry["seeds"]["n"] if entry["seeds"] else 1,
                "seeds_std": entry["seeds"]["std"] if entry["seeds"] else None,
                "note": entry.get("note"),
            }
            if key in compared:
                row |= {"reference": content["reference"], **_difference_cells(compared[key])}
            rows.append(row)
        rows += [
            {"run": label, "kind": "cost", "score": key, "value": Estimate(run["cost"][key])}
            for key in COST
        ]
    return Table("All scores", [Column(key, key) for key in columns], rows, labels=3)


def verdict(entry: Mapping[str, Any]) -> str:
    """Says in words what a difference comes to."""
    if entry["difference"] is None:
        return "undefined"
    if entry["separable"] is None:
        return "too few groups"
    if not entry["separable"]:
        return _NOT_SEPARABLE
    return "higher" if entry["difference"] > 0 else "lower"


def _estimate(entry: Mapping[str, Any], key: str) -> Estimate:
    return Estimate(entry[key], entry["low"], entry["high"])


def _shown(content: Mapping[str, Any]) -> list[str]:
    """Returns the means of the table of scores that some run has."""
    runs = content["runs"].values()
    return [key for key in MEANS if any(key in run["scores"] for run in runs)]


def _score_table(content: Mapping[str, Any]) -> Table:
    keys = _shown(content)
    rows = [
        {
            "run": label,
            "images": run["images"],
            "groups": run["source_groups"],
            **{k: _estimate(run["scores"][k], "value") for k in keys if k in run["scores"]},
        }
        for label, run in content["runs"].items()
    ]
    columns = [
        Column("run", "run"),
        Column("images", "images"),
        Column("groups", "groups"),
        *(Column(key, key) for key in keys),
    ]
    return Table("Scores", columns, rows, (_UNITS, *content["notes"]))


def _seed_tables(content: Mapping[str, Any]) -> list[Table]:
    """Returns the spread over seeds of the runs that have several."""
    keys = _shown(content)
    columns = [
        Column("run", "run"),
        Column("seeds", "seeds"),
        *(Column(f"{key}_std", f"{key} std", digits=2) for key in keys),
    ]
    rows: list[dict[str, Cell]] = []
    for label, run in content["runs"].items():
        spreads = {key: run["scores"].get(key, {}).get("seeds") for key in keys}
        if any(spreads.values()):
            row: dict[str, Cell] = {"run": label, "seeds": len(run["folders"])}
            rows.append(row | {f"{k}_std": s["std"] for k, s in spreads.items() if s})
    if not rows:
        return []
    note = "Standard deviation over seeds: of training again. The intervals do not contain it."
    return [Table("Spread over seeds", columns, rows, (note,))]


def _cost_table(content: Mapping[str, Any]) -> Table:
    columns = (
        Column("run", "run"),
        Column("parameters", "parameters (M)"),
        Column("flops", "GFLOPs"),
        Column("images_per_second", "images/s"),
        Column("model_ms", "ms/image"),
        Column("peak_memory_bytes", "peak memory (MiB)", digits=0),
        Column("device", "device"),
    )
    scale = {"parameters": 1e-6, "flops": 1e-9, "peak_memory_bytes": 2**-20}
    rows = []
    for label, run in content["runs"].items():
        row: dict[str, Cell] = {"run": label, "device": run["cost"]["device"]}
        for key in COST:
            number = run["cost"][key]
            row[key] = None if number is None else number * scale.get(key, 1)
        rows.append(row)
    return Table("Size and speed", columns, rows)


def _class_tables(content: Mapping[str, Any]) -> list[Table]:
    """Returns the IoU of each class, in tables of a few runs that still fit a page."""
    keys = {key: None for run in content["runs"].values() for key in run["scores"] if is_class(key)}
    labels = list(content["runs"])
    parts = [labels[i : i + _RUNS_ABREAST] for i in range(0, len(labels), _RUNS_ABREAST)]
    note = f"Groups: source groups that show the class; fewer than {MIN_GROUPS} give no interval."
    tables = []
    for number, part in enumerate(parts, start=1):
        rows = []
        for key in keys:
            found = {
                f"run {place}": content["runs"][label]["scores"][key]
                for place, label in enumerate(part)
                if key in content["runs"][label]["scores"]
            }
            row: dict[str, Cell] = {"class": class_name(key)}
            row["groups"] = max((entry["groups"] for entry in found.values()), default=None)
            rows.append(row | {place: _estimate(entry, "value") for place, entry in found.items()})
        columns = [
            Column("class", "class"),
            Column("groups", "groups"),
            *(Column(f"run {place}", label) for place, label in enumerate(part)),
        ]
        caption = "IoU by class" + (f", {number} of {len(parts)}" if len(parts) > 1 else "")
        tables.append(Table(caption, columns, rows, (note,)))
    return tables


def class_name(key: str) -> str:
    """Returns 'Cracks' for ``IoU.Cracks``, 'Surface (coarse)' for ``coarse.IoU.Surface``.

    The key of a mean is its name.
    """
    level, found, name = key.partition("IoU.")
    if not found:
        return key
    return f"{name} ({level.rstrip('.')})" if level else name


def _difference_cells(entry: Mapping[str, Any]) -> dict[str, Cell]:
    return {
        "difference": _estimate(entry, "difference"),
        "p": entry["p"],
        "p_holm": entry["p_holm"],
        "verdict": verdict(entry),
    }


def _difference_table(content: Mapping[str, Any], of_classes: bool) -> Table:
    columns = (
        Column("run", "run"),
        Column("score", "class" if of_classes else "score"),
        Column("verdict", "verdict"),
        Column("difference", "difference", signed=True),
        Column("p", "p", digits=4),
        Column("p_holm", "p (Holm)", digits=4),
    )
    rows: list[dict[str, Cell]] = [
        {
            "run": label,
            "score": class_name(key) if of_classes else key,
            **_difference_cells(entry),
        }
        for label, compared in content["differences"].items()
        for key, entry in compared["scores"].items()
        if is_class(key) == of_classes
    ]
    what = "IoU by class" if of_classes else "Means"
    notes = []
    if any(row["verdict"] == _NOT_SEPARABLE for row in rows):
        notes.append(_VERDICT)
    if any(row["score"] == "ECE" for row in rows):
        notes.append("ECE is an error: lower is better.")
    return Table(f"{what}: differences to {content['reference']}", columns, rows, notes, labels=3)
