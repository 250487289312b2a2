"""Training curves, from the scalars that a run logged."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.visualization.figures.style import (
    BLACK,
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    RED,
    SERIES,
    new_figure,
    plain,
    save_figure,
)

Curve = tuple[list[int], list[float]]
"""Steps, rising, and the values logged there."""

_LOG = "vis_data/scalars.json"
_MEANS = ("mIoU", "damage_classes_mIoU", "damage_IoU", "coarse_mIoU")
_COLUMNS = 4
_SPELLED = {name.lower(): name for name in ARTEFACT.names}  # the log spells "Material Loss"
_MAX_LOSSES = 6


def has_log(work_dir: str | Path) -> bool:
    """Whether a training logged scalars in this folder."""
    return bool(_logs(Path(work_dir)))


def read_scalars(work_dir: str | Path) -> tuple[dict[str, Curve], list[int]]:
    """Reads what a training logged, over all its starts, in one line by step.

    A run that was resumed has a folder of logs for each start. What was logged at or after the
    step at which the next start began was trained again, so the next start's values count.

    Args:
        work_dir: Folder of the run, with ``<timestamp>/vis_data/scalars.json``.

    Returns:
        Key -> curve, and the first steps of all starts but the first.

    Raises:
        InputError: If there is no log, or a line in it is damaged. A last line that is cut off is
            left out: a killed run leaves one.
    """
    logs = _logs(Path(work_dir))
    if not logs:
        raise InputError(
            f"{work_dir}: no training is logged here (<timestamp>/{_LOG}); give the folder of a "
            "run that was trained with --work-dir"
        )
    records: list[Mapping[str, Any]] = []
    starts: list[int] = []
    for path in logs:
        later = _records(path)
        if later:
            first = min(int(record["step"]) for record in later)
            records = [record for record in records if record["step"] < first]
            starts = [*(step for step in starts if step < first), first]
            records += later
    curves: dict[str, dict[int, float]] = {}
    for record in records:
        for key, value in record.items():
            if isinstance(value, (int, float)) and math.isfinite(value):
                curves.setdefault(key, {})[int(record["step"])] = float(value)
    return {
        key: (sorted(points), [points[step] for step in sorted(points)])
        for key, points in curves.items()
    }, starts[1:]


def plot_training_curves(
    path: str | Path, curves: Mapping[str, Curve], starts: Sequence[int] = ()
) -> None:
    """Draws loss, learning rate and the means of the validation over the steps.

    Args:
        path: Picture to write, in the format of its suffix.
        curves: See :func:`read_scalars`; what was not logged has no part in the picture.
        starts: Steps at which the run was resumed.
    """
    parts = [part for part in (_losses, _rates, _means) if part(None, curves)]
    figure = new_figure(8.5, 0.6 + 2.7 * max(len(parts), 1))
    grid = figure.subplots(max(len(parts), 1), 1, sharex=True, squeeze=False)[:, 0]
    for axes, part in zip(grid, parts, strict=False):
        part(axes, curves)
        _mark(axes, starts)
    if not parts:
        grid[0].text(0.5, 0.5, "neither loss nor score was logged", ha="center", color=GRAY)
    note = ". Dotted: resumed" if starts else ""
    grid[-1].set_xlabel(f"step{note}")
    save_figure(figure, path)


def plot_class_curves(
    path: str | Path,
    curves: Mapping[str, Curve],
    classes: Sequence[str],
    starts: Sequence[int] = (),
) -> None:
    """Draws the validation IoU of each class over the steps, a small picture for each.

    Args:
        path: Picture to write, in the format of its suffix.
        curves: See :func:`read_scalars`.
        classes: Names, as :func:`classes_of` gives them.
        starts: Steps at which the run was resumed.
    """
    across = min(_COLUMNS, len(classes))
    down = -(-len(classes) // across)
    figure = new_figure(0.6 + 2.6 * across, 0.6 + 1.9 * down)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    mean = curves.get("mIoU")
    for axes, name in zip(grid, classes, strict=False):
        if mean:
            axes.plot(*mean, color=GRAY, linewidth=1, linestyle="--")
        steps, values = curves[f"IoU.{name}"]
        axes.plot(steps, values, "o-", color=BLUE, markersize=3, linewidth=1.5)
        spelled = _SPELLED.get(name.lower(), name)
        axes.set_title(f"{spelled}: {values[-1]:.1f}", fontsize=9, loc="left")
        _mark(axes, starts)
        plain(axes, "y")
    for axes in grid[len(classes) :]:
        axes.set_visible(False)
    grid[0].set_ylim(bottom=0)
    figure.supylabel("IoU in the validation, percent", fontsize=10)
    figure.supxlabel("step. Behind the name: the last value. Dashed: mIoU", fontsize=9)
    save_figure(figure, path)


def classes_of(curves: Mapping[str, Curve]) -> list[str]:
    """Returns the names of the classes whose IoU was logged."""
    return [key.removeprefix("IoU.") for key in curves if key.startswith("IoU.")]


def _logs(work_dir: Path) -> list[Path]:
    """Returns the logs of all starts, the earliest first: their folders are named by time."""
    return sorted(work_dir.glob(f"*/{_LOG}"))


def _records(path: Path) -> list[dict[str, Any]]:
    """Reads one log: a JSON object in each line."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    records, problems = [], []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            if isinstance(record["step"], int):
                records.append(record)
        except (ValueError, KeyError, TypeError):
            if number < len(lines):
                problems.append(f"line {number}: {line[:60]}")
    if problems:
        raise InputError(f"{path}: expected a JSON object with a step in each line", problems)
    return _by_iteration(records)


def _by_iteration(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Gives validations the step of the training where mmengine numbered them by epoch.

    They get the last training step that was logged before them.
    """
    placed: list[dict[str, Any]] = []
    epoch = iteration = 0
    for record in records:
        if "iter" in record:
            epoch, iteration = record.get("epoch", 0), record["step"]
        elif record["step"] == epoch and epoch < iteration:
            record = {**record, "step": iteration}
        placed.append(record)
    return placed


def _losses(axes: Axes | None, curves: Mapping[str, Curve]) -> list[str]:
    """Draws the loss, and its parts where there are several; returns what there is to draw."""
    parts = [key for key in curves if key.rpartition(".")[2].startswith("loss_")]
    keys = (["loss"] if "loss" in curves else []) + (parts[:_MAX_LOSSES] if len(parts) > 1 else [])
    if axes is not None:
        for place, key in enumerate(keys):
            steps, values = curves[key]
            axes.plot(steps, values, color=SERIES[place % len(SERIES)], linewidth=0.6, alpha=0.4)
            width = max(1, len(values) // 30)
            smooth = _running_mean(values, width)
            axes.plot(steps, smooth, color=SERIES[place % len(SERIES)], linewidth=1.5, label=key)
        left_out = len(parts) - _MAX_LOSSES if len(parts) > 1 else 0
        axes.set_ylabel("training loss")
        title = f"{left_out} more parts are not shown" if left_out > 0 else None
        axes.legend(frameon=False, fontsize=8, title=title, title_fontsize=8)
        plain(axes, "y")
    return keys


def _rates(axes: Axes | None, curves: Mapping[str, Curve]) -> list[str]:
    """Draws the learning rate."""
    if axes is not None:
        axes.plot(*curves["lr"], color=BLACK, linewidth=1.5)
        axes.set_ylabel("learning rate")
        axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        plain(axes, "y")
    return ["lr"] if "lr" in curves else []


def _means(axes: Axes | None, curves: Mapping[str, Curve]) -> list[str]:
    """Draws the means of the validation and marks the best mIoU."""
    keys = [key for key in _MEANS if key in curves]
    if axes is not None:
        looks = zip("osD^", (BLUE, RED, GREEN, ORANGE), strict=True)
        for key, (mark, color) in zip(keys, looks, strict=False):
            axes.plot(*curves[key], f"{mark}-", color=color, markersize=4, label=key)
        if "mIoU" in curves:
            steps, values = curves["mIoU"]
            best = int(np.argmax(values))
            axes.annotate(
                f"best {values[best]:.1f}, step {steps[best]}",
                (steps[best], values[best]),
                xytext=(0, 8),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
        axes.set_ylabel("validation, percent")
        axes.set_ylim(bottom=0)
        axes.margins(y=0.2)
        axes.legend(frameon=False, fontsize=8)
        plain(axes, "y")
    return keys


def _mark(axes: Axes, starts: Sequence[int]) -> None:
    """Marks where the run was resumed."""
    for step in starts:
        axes.axvline(step, color=GRAY, linewidth=1, linestyle=":")


def _running_mean(values: Sequence[float], width: int) -> np.ndarray:
    """Averages the last ``width`` values before and at each place."""
    total = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - width, 0)
    return (total[ends] - total[begins]) / (ends - begins)
