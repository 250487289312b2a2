"""The results of a benchmark as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg_heritage.domains.benchmark.results import ORACLE
from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS
from mmseg_heritage.evaluation.score_tables import Cell, Column, Estimate, Table


def benchmark_tables(content: Mapping[str, Any]) -> list[Table]:
    """Lays out each family: scores of the methods, folds, other tests; then time and memory.

    Args:
        content: Of the result file.
    """
    tables = []
    for family, found in content["families"].items():
        tables.append(_scores_table(family, found, content["reference"]))
        names = list(next(iter(found["methods"].values()))["folds"])
        rows = [{"method": name, **s["folds"]} for name, s in found["methods"].items()]
        columns = [Column("method", "method"), *(Column(name, name) for name in names)]
        tables.append(Table(f"{family}: each fold", columns, rows))
        adapted = {name: s for name, s in found["beside"].items() if name != ORACLE}
        if adapted:
            tables.append(_beside_table(f"{family}: adaptation", found, adapted, _ADAPTED_NOTE))
        if ORACLE in found["beside"]:
            oracle = {ORACLE: found["beside"][ORACLE]}
            tables.append(_beside_table(f"{family}: oracle", found, oracle, _ORACLE_NOTE))
    return [*tables, _cost_table(content)]


_ADAPTED_NOTE = (
    "Macro mIoU, percent, of the last weights as they are (source) and adapted to each held-out "
    "image, which the adaptation has seen; differences to source with 95 % intervals."
)
_ORACLE_NOTE = (
    "No result: macro mIoU if in each run the checkpoint were chosen that scores best on the "
    "held-out images. It is never below source, and its difference is what such a choice pretends."
)


def _scores_table(family: str, found: Mapping[str, Any], reference: str) -> Table:
    rows: list[dict[str, Cell]] = []
    for name, scores in found["methods"].items():
        row: dict[str, Cell] = {"method": name}
        row |= {key: scores[key] for key in ("macro", "worst", "pooled", "in_domain", "gap")}
        for key, d in found["differences"].get(name, {}).items():
            if key != "worst":
                row[f"d_{key}"] = Estimate(d["difference"], d["low"], d["high"])
        rows.append(row)
    columns = [
        Column("method", "method"),
        *(Column(key, key) for key in ("macro", "worst", "pooled")),
        Column("in_domain", "in domain"),
        Column("gap", "gap"),
        Column("d_macro", "macro difference", signed=True),
        Column("d_pooled", "pooled difference", signed=True),
    ]
    note = (
        f"mIoU over classes present, percent. Differences to {reference}, with 95 % intervals over "
        f"{found['source_groups']} source groups, drawn within each fold; none with fewer than "
        f"{MIN_GROUPS}."
    )
    return Table(family, columns, rows, (note,))


def _beside_table(
    caption: str, found: Mapping[str, Any], tests: Mapping[str, Any], note: str
) -> Table:
    """Lays out other tests of the same runs beside the one without them."""
    columns = [Column("method", "method"), Column("source", "source")]
    for label in tests:
        columns += [
            Column(label, label),
            Column(f"d_{label}", f"{label} difference", signed=True),
        ]
    rows: list[dict[str, Cell]] = []
    for name, scores in found["methods"].items():
        row: dict[str, Cell] = {"method": name, "source": scores["macro"]}
        for label, of_methods in tests.items():
            d = of_methods[name]["differences"]["macro"]
            row[label] = of_methods[name]["macro"]
            row[f"d_{label}"] = Estimate(d["difference"], d["low"], d["high"])
        rows.append(row)
    return Table(caption, columns, rows, (note,))


def _cost_table(content: Mapping[str, Any]) -> Table:
    columns = [
        Column("method", "method"),
        Column("seconds_per_iteration", "seconds per iteration", digits=3),
        Column("relative_time", "time by reference", digits=2),
        Column("peak_mib", "peak MiB", digits=0),
        Column("relative_memory", "memory by reference", digits=2),
        Column("device", "device"),
    ]
    rows: list[dict[str, Cell]] = [
        {"method": name, **found, "device": ", ".join(found["devices"])}
        for name, found in content["cost"].items()
    ]
    note = (
        f"Of the trainings; medians over runs, ratios to {content['reference']} on the same fold "
        "and seed. Memory is that of the GPU, or of the process without one."
    )
    return Table("Time and memory", columns, rows, (note,))
