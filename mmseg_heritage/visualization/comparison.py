"""Figures of a comparison: accuracy against speed, IoU by class, differences with intervals.

In the colours of Okabe and Ito and the colour map cividis, which colour-blind readers can tell
apart; what a colour says, a mark or a number says too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmseg_heritage.evaluation.bootstrap import MIN_GROUPS
from mmseg_heritage.evaluation.comparison import is_class
from mmseg_heritage.evaluation.comparison_tables import class_name, verdict
from mmseg_heritage.files import replacing
from mmseg_heritage.taxonomy import GROUP_COLORS

_COLORS = ["#000000", *("#{:02x}{:02x}{:02x}".format(*color) for color in GROUP_COLORS[:6])]
_MARKS = "osD^vPX*"
_GREY = "#767676"
_PANELS_ABREAST = 3
_STYLES: dict[str, dict[str, Any]] = {
    "higher": {"color": "#0072b2", "marker": ">", "markerfacecolor": "#0072b2"},
    "lower": {"color": "#d55e00", "marker": "<", "markerfacecolor": "#d55e00"},
    "not separable": {"color": _GREY, "marker": "o", "markerfacecolor": "white"},
    "too few groups": {"color": _GREY, "marker": "x", "markerfacecolor": _GREY},
}


def draw_comparison(folder: Path, content: Mapping[str, Any]) -> list[Path]:
    """Draws what a comparison has.

    Args:
        folder: Where to write ``class_iou.png``; ``accuracy_speed.png`` where a test tells its
            speed; ``differences.png`` where there is something to compare.
        content: See :func:`mmseg_heritage.evaluation.comparison.compare_entries`.

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
    figure = Figure(figsize=(7.5, 4 + 0.22 * len(placed)), layout="constrained")
    axes = figure.subplots()
    for place, (label, run) in enumerate(placed.items()):
        score, speed = run["scores"]["mIoU"], run["cost"]["images_per_second"]
        color, mark = _COLORS[place % len(_COLORS)], _MARKS[place % len(_MARKS)]
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
    _save(figure, path)


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
    figure = Figure(
        figsize=(
            2.8 + width * len(runs),
            1.4 + 0.32 * len(names) + (0 if upright else 0.06 * longest),
        ),
        layout="constrained",
    )
    axes = figure.subplots()
    colors = colormaps["cividis"].with_extremes(bad="white")
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colors, vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "absent" if np.isnan(value) else f"{value:.1f}"
        ink = "black" if np.isnan(value) or value > 50 else "white"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    labels = [f"{class_name(key)} ({number})" for key, number in zip(names, groups, strict=True)]
    axes.set_yticks(range(len(names)), labels)
    for tick, number in zip(axes.get_yticklabels(), groups, strict=True):
        tick.set_color("black" if number >= MIN_GROUPS else _GREY)
    axes.set_xticks(range(len(runs)), list(runs))
    axes.xaxis.tick_top()
    if not upright:
        for tick in axes.get_xticklabels():
            tick.set(rotation=40, ha="left", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.set_xlabel(
        f"(number of source groups that show the class; grey: fewer than {MIN_GROUPS})",
        fontsize=9,
    )
    figure.colorbar(image, label="IoU, percent", fraction=0.05)
    _save(figure, path)


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
    figure = Figure(
        figsize=(2.2 + width * across, 1.4 + down * (0.7 + 0.25 * len(keys))), layout="constrained"
    )
    grid = figure.subplots(down, across, sharey=True, sharex=True, squeeze=False).ravel()
    means = sum(not is_class(key) for key in keys)
    for axes, (label, scores) in zip(grid, compared.items(), strict=False):
        for row, key in enumerate(keys):
            _difference(axes, row, scores.get(key))
        axes.axvline(0, color="black", linewidth=0.8)
        axes.axhline(means - 0.5, color=_GREY, linewidth=0.8, linestyle=":")
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
    _save(figure, path)


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


def _save(figure: Figure, path: str | Path) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
