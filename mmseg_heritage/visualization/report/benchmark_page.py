"""The page of a benchmark of domain generalization: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mmseg_heritage.evaluation.score_tables import Table
from mmseg_heritage.utils.text import counted
from mmseg_heritage.visualization.figures.benchmark_figure import plot_benchmark
from mmseg_heritage.visualization.report.page import render_template
from mmseg_heritage.visualization.report.report_figures import Picture
from mmseg_heritage.visualization.report.report_pictures import figure_uri


def benchmark_page(content: Mapping[str, Any], tables: Sequence[Table]) -> str:
    """Returns the page as HTML.

    Args:
        content: Of the result file.
        tables: Of its scores.
    """
    return render_template(
        "benchmark.html",
        content=content,
        runs=counted(len(content["runs"]), "run"),
        findings=_findings(content),
        figures=_figures(content),
        tables=tables,
    )


def _findings(content: Mapping[str, Any]) -> list[str]:
    """Says of each family which methods differ from the reference."""
    sentences = []
    for family, found in content["families"].items():
        macro = {name: d["macro"] for name, d in found["differences"].items()}
        if not macro:
            continue
        if any(d["low"] is None for d in macro.values()):
            sentences.append(f"{family}: too few source groups to tell methods apart.")
            continue
        apart = [
            f"{name} {d['difference']:+.1f} [{d['low']:+.1f}, {d['high']:+.1f}]"
            for name, d in macro.items()
            if d["low"] > 0 or d["high"] < 0
        ]
        sentences.append(
            f"{family}: "
            + (
                f"differs from {content['reference']} in macro mIoU: {', '.join(apart)}."
                if apart
                else f"no method can be told from {content['reference']} in macro mIoU."
            )
        )
    return sentences


def _figures(content: Mapping[str, Any]) -> list[Picture]:
    if len(content["cost"]) < 2:  # nothing to compare
        return []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "differences.svg"
        plot_benchmark(path, content)
        text = (
            f"Mean over folds, with its interval, and each fold, against {content['reference']}; "
            "the numbers are in the tables."
        )
        return [Picture("Differences", text, figure_uri(path))]
