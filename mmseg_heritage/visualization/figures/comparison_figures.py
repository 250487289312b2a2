"""Figures of a comparison: accuracy against speed, IoU by class, differences with intervals.

In the look of :mod:`mmseg_heritage.visualization.figures.style`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mmseg_heritage.evaluation.comparing.comparison import is_class
from mmseg_heritage.evaluation.comparing.comparison_tables import class_name, verdict
from mmseg_heritage.visualization.figures.style import (
    BLUE,
    FEW_GROUPS,
    GRAY,
    PERCENT,
    RED,
    SERIES,
    ink_on,
    new_figure,
    note_below,
    save_figure,
    support_ink,
)

_MARKS = "osD^vPX*"
_PANELS_ABREAST = 3
_STYLES: dict[str, dict[str, Any]] = {
    "higher": {"color": BLUE, "marker": ">", "markerfacecolor": BLUE},
    "lower": {"color": RED, "marker": "<", "markerfacecolor": RED},
    "not separable": {"color": GRAY, "marker": "o", "markerfacecolor": "white"},
    "too few groups": {"color": GRAY, "marker": "x", "markerfacecolor": GRAY},
}


def draw_comparison(folder: Path, content: Mapping[str, Any]) -> list[Path]:
    """Draws what a comparison has.

    Args:
        folder: Where to write ``class_iou.png``; ``accuracy_speed.png`` where a test tells its
            speed; ``differences.png`` where there is something to compare.
        content: See :func:`mmseg_heritage.evaluation.comparing.comparison.compare_entries`.

    Returns:
        The pictures.
    """
    pictures = [folder / "class_iou.png"]
    plot_class_iou(pictures[0], content)
    runs = content["runs"].values()
    if any(_has_place(run) for run in runs):
        pictures.append(folder / "accuracy_speed.png")
        plot_accuracy_speed(pictures[-1], content)
    if any(compared["scores"] for compared in content["differences"].values()):
        pictures.append(folder / "differences.png")
        plot_differences(pictures[-1], content)
    return pictures


def plot_accuracy_speed(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws the mIoU of each run, with its interval, against its images per second.

    Args:
        path: Picture to write, in the format of its suffix.
        content: See :func:`draw_comparison`; runs without speed are named below the picture.
    """
    placed = {label: run for label, run in content["runs"].items() if _has_place(run)}
    left_out = [label for label in content["runs"] if label not in placed]
    figure = new_figure(7.5, 4 + 0.22 * len(placed))
    axes = figure.subplots()
    for place, (label, run) in enumerate(placed.items()):
        score, speed = run["scores"]["mIoU"], run["cost"]["images_per_second"]
        color, mark = SERIES[place % len(SERIES)], _MARKS[place % len(_MARKS)]
        if score["low"] is not None:
            axes.plot([speed] * 2, [score["low"], score["high"]], color=color, linewidth=1.5)
        millions = run["cost"]["parameters"]
        size = "" if millions is None else f", {millions / 1e6:.1f} M parameters"
        axes.plot(speed, score["value"], mark, color=color, markersize=9, label=f"{label}{size}")
    speeds = [run["cost"]["images_per_second"] for run in placed.values()]
    wide = max(speeds) > 10 * min(speeds)
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.margins(x=0.15)
    axes.set_xlabel("images per second" + (" (log scale)" if wide else ""))
    axes.set_ylabel("mIoU, percent")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", frameon=False)
    devices = sorted({str(run["cost"]["device"] or "unknown device") for run in placed.values()})
    lines = [f"Lines: 95 % intervals. Speed of the model alone, on {' and on '.join(devices)}."]
    lines += [f"Without a speed: {', '.join(left_out)}"] if left_out else []
    axes.set_title("\n".join(lines), fontsize=9, loc="left")
    save_figure(figure, path)


def plot_class_iou(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws the IoU of each class in each run as a heat map with numbers.

    Args:
        path: Picture to write, in the format of its suffix.
        content: See :func:`draw_comparison`.
    """
    runs = content["runs"]
    names = {key: None for run in runs.values() for key in run["scores"] if key.startswith("IoU.")}
    scores = [[run["scores"].get(key) for run in runs.values()] for key in names]
    values = np.array([[_value(entry) for entry in row] for row in scores])
    groups = [max(entry["groups"] for entry in row if entry) for row in scores]
    longest = max(map(len, runs))
    upright = len(runs) <= 4  # more names beside each other would make a very wide picture
    width = max(0.9, 0.11 * longest) if upright else 0.7
    figure = new_figure(
        2.8 + width * len(runs), 1.4 + 0.32 * len(names) + (0 if upright else 0.06 * longest)
    )
    axes = figure.subplots()
    image = axes.imshow(np.ma.masked_invalid(values), cmap=PERCENT, vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "absent" if np.isnan(value) else f"{value:.1f}"
        axes.text(column, row, text, ha="center", va="center", color=ink_on(value), fontsize=9)
    labels = [f"{class_name(key)} ({number})" for key, number in zip(names, groups, strict=True)]
    axes.set_yticks(range(len(names)), labels)
    for tick, number in zip(axes.get_yticklabels(), groups, strict=True):
        tick.set_color(support_ink(number))
    axes.set_xticks(range(len(runs)), list(runs))
    axes.xaxis.tick_top()
    if not upright:
        for tick in axes.get_xticklabels():
            tick.set(rotation=40, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0)
    note_below(figure, f"(number of source groups that show the class; {FEW_GROUPS})")
    figure.colorbar(image, label="IoU, percent", fraction=0.05)
    save_figure(figure, path)


def plot_differences(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws the differences to the reference with their intervals, a column for each run.

    Args:
        path: Picture to write, in the format of its suffix.
        content: See :func:`draw_comparison`.
    """
    compared = {
        label: found["scores"] for label, found in content["differences"].items() if found["scores"]
    }
    keys = _rows_of_differences(list(compared.values()))
    across = min(_PANELS_ABREAST, len(compared))
    down = -(-len(compared) // across)
    width = max(3.2, 0.09 * max(map(len, compared)))
    figure = new_figure(2.2 + width * across, 1.4 + down * (0.7 + 0.25 * len(keys)))
    grid = figure.subplots(down, across, sharey=True, sharex=True, squeeze=False).ravel()
    means = sum(not is_class(key) for key in keys)
    for axes, (label, scores) in zip(grid, compared.items(), strict=False):
        for row, key in enumerate(keys):
            _difference(axes, row, scores.get(key))
        axes.axvline(0, color="black", linewidth=0.8)
        axes.axhline(means - 0.5, color=GRAY, linewidth=0.8, linestyle=":")
        axes.set_title(label, fontsize=10)
        axes.tick_params(labelbottom=True)
        axes.grid(axis="x", alpha=0.3)
    for axes in grid[len(compared) :]:
        axes.set_visible(False)
    grid[0].set_yticks(range(len(keys)), [class_name(key) for key in keys])
    grid[0].set_ylim(len(keys) - 0.5, -0.5)
    figure.suptitle(f"Differences to {content['reference']}, percentage points", fontsize=11)
    handles = [
        grid[0].plot([], [], label=name, linewidth=1.5, **style)[0]
        for name, style in _STYLES.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    save_figure(figure, path)


def _rows_of_differences(compared: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the means in percent that are better when higher, then the classes."""
    keys = {key: None for scores in compared for key in scores}
    return [k for k in keys if not is_class(k) and k != "ECE"] + [
        k for k in keys if k.startswith("IoU.")
    ]


def _difference(axes: Axes, row: int, entry: Mapping[str, Any] | None) -> None:
    """Draws one difference; nothing where it is undefined."""
    if entry is None or entry["difference"] is None:
        return
    style = _STYLES[verdict(entry)]
    if entry["low"] is not None:
        axes.plot([entry["low"], entry["high"]], [row, row], color=style["color"], linewidth=1.5)
    axes.plot(entry["difference"], row, markersize=6, linestyle="none", **style)


def _has_place(run: Mapping[str, Any]) -> bool:
    """Whether a run has both a score and a speed."""
    return bool(run["cost"]["images_per_second"]) and run["scores"]["mIoU"]["value"] is not None


def _value(entry: Mapping[str, Any] | None) -> float:
    return float("nan") if entry is None or entry["value"] is None else entry["value"]
