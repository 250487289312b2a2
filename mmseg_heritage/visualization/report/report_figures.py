"""Figures of a report.

Those of scores are drawn again from the counts, so that they always fit the report's numbers. Those
of predictions need the model; they are taken from ``evaluation/figures``, if they are there and of
the tested checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER, FIGURES_FOLDER, Run
from mmseg_heritage.utils.files import staging_folder
from mmseg_heritage.visualization.figures.calibration_figure import plot_risk_coverage
from mmseg_heritage.visualization.figures.comparison_figures import draw_comparison
from mmseg_heritage.visualization.figures.curves import has_log, plot_training_curves, read_scalars
from mmseg_heritage.visualization.figures.score_figures import (
    plot_class_distribution,
    plot_component_recall,
    plot_confusion_matrix,
    plot_per_class_iou,
    plot_reliability,
)
from mmseg_heritage.visualization.report.report_pictures import figure_uri, panel_uri

_WIDE = "Confusion matrix"
_TAKEN = {
    "grid": "Predictions",
    "errors": "Errors",
    "panels": "Found, false and missed",
    "levels": "Levels",
    "cam": "Activation",
}
MAX_TAKEN = 40
_TAKEN_BYTES = 500_000


@dataclass(frozen=True)
class Picture:
    """A figure: title, what it shows in words, data URI, and whether it needs the full width."""

    title: str
    text: str
    uri: str
    wide: bool = False


def run_figures(run: Run, content: Mapping[str, Any]) -> list[Picture]:
    """Draws what the test of a run allows.

    Args:
        run: What was tested.
        content: Content of ``metrics.json``.
    """
    counts = run.counts
    drawings: list[tuple[str, str, Callable[[Path], Any]]] = [
        (
            "IoU of each class",
            "Dots with 95 % intervals; the numbers are in the table of classes.",
            lambda path: plot_per_class_iou(path, content),
        ),
        (
            "Labeled and predicted amounts",
            "The share of each class in all pixels: as labeled, and as predicted.",
            lambda path: plot_class_distribution(path, counts),
        ),
        (
            _WIDE,
            "Of the pixels of each labeled class (rows), the percent predicted as each class.",
            lambda path: plot_confusion_matrix(path, counts),
        ),
    ]
    if content["components"]:
        drawings.append(
            (
                "Damages found, by size",
                "Of the connected regions of each class, the percent found, by size in pixels.",
                lambda path: plot_component_recall(path, content),
            )
        )
    if content["calibration"] and content["calibration"]["ECE"] is not None:
        drawings.append(
            (
                "Reliability",
                "How often the model is right against how sure it is; below the diagonal it is "
                "surer than it should be.",
                lambda path: plot_reliability(path, content),
            )
        )
        drawings.append(
            (
                "Risk and coverage",
                "How many pixels are wrong if only the surest are accepted; mmseg-heritage "
                "calibrate makes confidences fit.",
                lambda path: plot_risk_coverage(path, content),
            )
        )
    if len(run.stamps) == 1 and has_log(run.folder):
        drawings.append(
            (
                "Training",
                "Loss, learning rate and validation scores over the steps of the training.",
                lambda path: plot_training_curves(path, *read_scalars(run.folder)),
            )
        )
    pictures: list[Picture] = []
    with staging_folder(Path(gettempdir()) / "figures") as folder:
        for title, text, draw in drawings:
            path = folder / f"{len(pictures)}.svg"  # sharp in print, at any size
            draw(path)
            pictures.append(Picture(title, text, figure_uri(path), title == _WIDE))
    if len(run.stamps) == 1:
        drawn = run.folder / EVALUATION_FOLDER / FIGURES_FOLDER
        pictures += prediction_figures(drawn, run.stamps[0].get("checkpoint_sha256"))
    return pictures


def prediction_figures(folder: Path, checkpoint_sha256: str | None) -> list[Picture]:
    """Takes the figures of predictions that ``visualize`` drew of a tested checkpoint.

    Args:
        folder: Where it drew them, with the ``figures.json`` that says what each shows.
        checkpoint_sha256: Of what was tested; figures of another checkpoint are left alone.

    Returns:
        At most :data:`MAX_TAKEN`, in the order of their kinds; none where there are none.

    Raises:
        InputError: If one cannot be read.
    """
    try:
        content = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
        drawn_of, figures = content["checkpoint_sha256"], content["figures"]
        entries = [(str(e["kind"]), folder / str(e["file"]), str(e["note"])) for e in figures]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if checkpoint_sha256 is None or drawn_of != checkpoint_sha256:
        return []
    inside = [e for e in entries if e[1].resolve().is_relative_to(folder.resolve())]
    chosen = [entry for kind in _TAKEN for entry in inside if entry[0] == kind][:MAX_TAKEN]
    return [
        Picture(_TAKEN[kind], note, panel_uri(path, _TAKEN_BYTES), kind in ("grid", "errors"))
        for kind, path, note in chosen
    ]


_COMPARED = {
    "class_iou.png": ("IoU of each class in each run", "The numbers are in the tables below."),
    "accuracy_speed.png": (
        "Accuracy and speed",
        "mIoU with its 95 % interval against images per second.",
    ),
    "differences.png": (
        "Differences to the reference",
        "Differences in percentage points with 95 % intervals; an interval that holds 0 does not "
        "tell two runs apart.",
    ),
}


def comparison_figures(content: Mapping[str, Any]) -> list[Picture]:
    """Draws a comparison.

    Args:
        content: What :func:`mmseg_heritage.evaluation.comparing.comparison.compare_entries`
            returns.
    """
    with staging_folder(Path(gettempdir()) / "figures") as folder:
        return [
            Picture(*_COMPARED[path.name], figure_uri(path))
            for path in draw_comparison(folder, content)
        ]
