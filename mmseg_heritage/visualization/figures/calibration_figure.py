"""How sure a model is where it is right, before and after a calibration, and risk over coverage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mmseg_heritage.visualization.figures.style import (
    BLACK,
    BLUE,
    ORANGE,
    new_figure,
    plain,
    save_figure,
)


def plot_calibration(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws the scores that the command ``calibrate`` writes.

    Args:
        path: Picture to write, in the format of its suffix.
        content: Of its JSON file: 'method' and 'scores'.
    """
    figure = new_figure(10.0, 4.8)
    left, right = figure.subplots(1, 2)
    left.plot([0, 100], [0, 100], "--", color=BLACK, linewidth=1, label="as sure as right")
    for name, color, mark in (("before", ORANGE, "o"), (content["method"], BLUE, "s")):
        scores = content["scores"][name]
        bins = np.array(scores["bins"])
        pixels, sure, hits = bins[bins[:, 0] > 0].T
        label = f"{name}: ECE {scores['ECE']:.1f} %"
        left.plot(100 * sure / pixels, 100 * hits / pixels, mark + "-", color=color, label=label)
        curve = np.array(scores["risk_coverage"])
        label = f"{name}: AURC {scores['AURC']:.2f} %"
        right.plot(*curve.T, mark + "-", color=color, label=label)
    left.set_xlabel("mean confidence of the pixels of a bin, percent")
    left.set_ylabel("right ones among them, percent")
    left.set_title("Below the line: surer than right", fontsize=10, loc="left")
    _finish_risk(right)
    plain(left, "both")
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=9)
    save_figure(figure, path)


def plot_risk_coverage(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws the risk over the coverage of a test, in steps of the bins of its confidences.

    Args:
        path: Picture to write, in the format of its suffix.
        content: Content of ``metrics.json`` with ``calibration``.
    """
    bins = [entry for entry in reversed(content["calibration"]["bins"]) if entry["pixels"]]
    pixels = np.array([entry["pixels"] for entry in bins], dtype=np.float64)
    wrong = pixels * (1 - np.array([entry["accuracy"] for entry in bins]) / 100)
    figure = new_figure(6.4, 4.4)
    axes = figure.subplots()
    accepted = pixels.cumsum()
    axes.plot(100 * accepted / accepted[-1], 100 * wrong.cumsum() / accepted, "o-", color=BLUE)
    _finish_risk(axes)
    save_figure(figure, path)


def _finish_risk(axes: Axes) -> None:
    axes.set_xlabel("coverage: accepted pixels, the surest first, percent")
    axes.set_ylabel("risk: wrong ones among them, percent")
    axes.set_ylim(bottom=0)
    axes.set_title("Wrong pixels if only sure ones are accepted", fontsize=10, loc="left")
    plain(axes, "both")
