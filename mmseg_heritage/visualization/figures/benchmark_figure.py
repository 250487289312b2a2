"""Figure of a benchmark of domain generalization: paired differences of each method and fold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS
from mmseg_heritage.visualization.figures.style import (
    BLACK,
    BLUE,
    GRAY,
    new_figure,
    note_below,
    plain,
    save_figure,
)

_WIDTH = 4.8  # in inches; narrow, so that it is readable on a phone
_ROW = 0.45


def plot_benchmark(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws the macro difference of each method to the reference, and that of each fold.

    Args:
        path: Picture to write, in the format of its suffix.
        content: Of the result file, with at least two methods.
    """
    families = content["families"]
    count = len(content["cost"]) - 1
    figure = new_figure(_WIDTH, 1.3 + len(families) * (0.7 + _ROW * count))
    grid = figure.subplots(len(families), 1, sharex=True, squeeze=False).ravel()
    for axes, (family, found) in zip(grid, families.items(), strict=True):
        base = found["methods"][content["reference"]]["folds"]
        for row, (name, differences) in enumerate(found["differences"].items()):
            folds = found["methods"][name]["folds"]
            points = [folds[fold] - base[fold] for fold in base]
            axes.plot(points, [row - 0.18] * len(points), "o", color=GRAY, markersize=4,
                      markerfacecolor="none")  # fmt: skip
            macro = differences["macro"]
            if macro["low"] is not None:
                axes.plot([macro["low"], macro["high"]], [row + 0.12] * 2, color=BLUE, linewidth=2)
            axes.plot(macro["difference"], row + 0.12, "D", color=BLUE, markersize=6)
        axes.axvline(0, color=BLACK, linewidth=0.8)
        axes.set_yticks(range(count), list(found["differences"]))
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_title(family, fontsize=10, loc="left")
        axes.tick_params(labelbottom=True)
        plain(axes, "x")
    grid[-1].set_xlabel(f"mIoU minus that of {content['reference']}, percentage points")
    note_below(
        figure,
        "Diamonds: mean of the folds, with its 95 % interval over source groups (none with fewer "
        f"than {MIN_GROUPS}). Circles: folds.",
    )
    save_figure(figure, path)
