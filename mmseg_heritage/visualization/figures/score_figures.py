"""Figures of the scores of a test, drawn from what the test wrote. Need no model and no images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS
from mmseg_heritage.evaluation.means import damage_classes, support
from mmseg_heritage.evaluation.store import Counts, load_counts
from mmseg_heritage.evaluation.summary import COUNTS_FILE, METRICS_FILE, load_metrics
from mmseg_heritage.taxonomy import FINE_LEVEL
from mmseg_heritage.visualization.figures.style import (
    BLACK,
    BLUE,
    FEW_GROUPS,
    GRAY,
    ORANGE,
    PALE,
    PERCENT,
    ink_on,
    new_figure,
    note_below,
    plain,
    save_figure,
    short_number,
    support_ink,
)

MATRIX_FILE = "confusion_matrix.png"
IOU_FILE = "per_class_iou.png"
_SUPPORT = ("support_pixels", "source_groups")


def write_figures(folder: str | Path) -> list[Path]:
    """Draws the two figures that every test leaves beside its scores, replacing earlier ones.

    Args:
        folder: The ``evaluation`` folder of a tested run.

    Returns:
        ``confusion_matrix.png`` and ``per_class_iou.png`` in that folder.

    Raises:
        InputError: If the folder lacks the files of a test, or they are of another version.
    """
    folder = Path(folder)
    counts, content = load_counts(folder / COUNTS_FILE), load_metrics(folder / METRICS_FILE)
    plot_confusion_matrix(folder / MATRIX_FILE, counts)
    plot_per_class_iou(folder / IOU_FILE, content)
    return [folder / MATRIX_FILE, folder / IOU_FILE]


def plot_confusion_matrix(path: str | Path, counts: Counts) -> None:
    """Draws where the pixels of each class go, in percent of its true pixels.

    A cell without pixels is empty; a class without true pixels has a gray row that says so.

    Args:
        path: Picture to write, in the format of its suffix.
        counts: Counts of a test.
    """
    pooled, names = counts.confusion.sum(axis=0), counts.classes
    shown = support(counts.confusion, counts.groups)
    true = shown["support_pixels"]
    with np.errstate(invalid="ignore", divide="ignore"):
        percent = 100 * pooled / true[:, None]
    number = len(names)
    figure = new_figure(4.5 + 0.52 * number, 2.9 + 0.36 * number)
    axes = figure.subplots()
    masked = np.ma.masked_invalid(percent)
    image = axes.imshow(masked, cmap=PERCENT, vmin=0, vmax=100, aspect="auto")
    _part_cells(axes, number, number)
    for (row, column), pixels in np.ndenumerate(pooled):
        if pixels:
            text, ink = _cell(percent[row, column]), ink_on(percent[row, column])
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    for row in np.flatnonzero(true == 0).tolist():
        text = "no pixels in the truth"
        axes.text((number - 1) / 2, row, text, ha="center", va="center", color=BLACK, fontsize=8)
    axes.set_xticks(range(number), names, rotation=45, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0)
    _name_classes(axes, names, true, shown["groups"])
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    figure.colorbar(image, label="percent of true pixels", fraction=0.05, pad=0.01)
    note_below(
        figure,
        f"Behind the names: true pixels, source groups ({FEW_GROUPS}). Empty: no such pixel. "
        "255 is left out.",
    )
    save_figure(figure, path)


def plot_per_class_iou(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws the IoU of each class with its interval and its support, and the mean.

    Args:
        path: Picture to write, in the format of its suffix.
        content: Content of ``metrics.json``.
    """
    report, intervals = content["levels"][FINE_LEVEL], content["intervals"]
    rows = report["per_class"]
    names = list(rows)
    figure = new_figure(8.5, 1.9 + 0.3 * len(names))
    axes = figure.subplots()
    for place, (name, row) in enumerate(rows.items()):
        enough = row["supported"]
        color, mark = (BLUE, "o") if enough else (GRAY, "x")
        if row["iou"] is None:
            axes.text(1, place, "in neither truth nor prediction", va="center", color=GRAY, size=8)
            continue
        interval = intervals.get(f"IoU.{name}", {})
        if interval.get("low") is not None:
            ends = [interval["low"], interval["high"]]
            axes.plot(ends, [place, place], color=color, linewidth=2, alpha=0.6)
        axes.plot(row["iou"], place, mark, color=color, markersize=6, clip_on=False)
        ink = support_ink(row["source_groups"])
        axes.text(101.5, place, f"{row['iou']:.1f}", va="center", color=ink, size=9)
    mean = content["overall"]["mIoU"]
    ends = intervals.get("mIoU", {})
    if mean is not None:
        label = f"mIoU {mean:.1f}"
        if ends.get("low") is not None:
            axes.axvspan(ends["low"], ends["high"], color=PALE, zorder=0)
            label += f" [{ends['low']:.1f}, {ends['high']:.1f}]"
        axes.axvline(mean, color="black", linewidth=1, linestyle="--")
        axes.set_title(
            f"{label} over {content['overall']['classes_in_mean']} classes, "
            f"{content['images']} images of {content['source_groups']} source groups",
            fontsize=10,
            loc="left",
        )
    pixels, groups = ([row[key] for row in rows.values()] for key in _SUPPORT)
    _name_classes(axes, names, pixels, groups)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(-1.5, 100)  # room for marks at 0
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(
        "IoU, percent. Lines and band: 95 % intervals over source groups, none for classes that "
        "fewer than "
        f"{MIN_GROUPS}\nshow (gray crosses). Behind the names: true pixels, source groups.",
        fontsize=9,
    )
    plain(axes, "x")
    save_figure(figure, path)


def plot_reliability(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws how often the model is right against how sure it is, and where its pixels are.

    Args:
        path: Picture to write, in the format of its suffix.
        content: Content of ``metrics.json`` with ``calibration``.
    """
    calibration = content["calibration"]
    bins = calibration["bins"]
    filled = [entry for entry in bins if entry["pixels"]]
    total = sum(entry["pixels"] for entry in bins)
    left, width = [entry["above"] for entry in bins], bins[0]["up_to"] - bins[0]["above"]
    figure = new_figure(6.4, 6.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    heights = [entry["accuracy"] or 0 for entry in bins]
    upper.bar(left, heights, width, align="edge", color=BLUE, edgecolor="white", label="right")
    upper.plot([0, 100], [0, 100], "--", color="black", linewidth=1, label="as sure as right")
    places = [entry["confidence"] for entry in filled]
    upper.plot(places, [e["accuracy"] for e in filled], "o", color=ORANGE, markeredgecolor="black",
               label="mean confidence of the bin")  # fmt: skip
    interval = content["intervals"].get("ECE", {})
    title = f"Expected calibration error {calibration['ECE']:.1f} %"
    if interval.get("low") is not None:
        title += f" [{interval['low']:.1f}, {interval['high']:.1f}]"
    upper.set_title(f"{title}, {short_number(total)} pixels", fontsize=10, loc="left")
    upper.set_ylabel("right pixels, percent")
    upper.set_ylim(0, 100)
    upper.legend(frameon=False, fontsize=9, loc="upper left")
    lower.bar(left, [100 * entry["pixels"] / total for entry in bins], width, align="edge",
              color=GRAY, edgecolor="white")  # fmt: skip
    lower.set_ylabel("pixels, percent")
    lower.set_xlabel("confidence (probability of the predicted class), percent\n"
                     "Bars below the line: surer than right.", fontsize=9)  # fmt: skip
    lower.set_xlim(0, 100)
    for axes in (upper, lower):
        plain(axes, "y")
    save_figure(figure, path)


def plot_class_distribution(path: str | Path, counts: Counts) -> None:
    """Draws the share of each class in the truth and in the prediction, on a log scale.

    Args:
        path: Picture to write, in the format of its suffix.
        counts: Counts of a test.
    """
    pooled, names = counts.confusion.sum(axis=0), counts.classes
    total = max(int(pooled.sum()), 1)
    shares = {"truth": pooled.sum(axis=1) / total, "prediction": pooled.sum(axis=0) / total}
    every = np.concatenate(list(shares.values()))
    lowest = 100 * every[every > 0].min(initial=1.0)
    none = 10 ** (np.floor(np.log10(lowest)) - 0.7)  # where "none" is drawn, left of all shares
    figure = new_figure(8, 1.7 + 0.3 * len(names))
    axes = figure.subplots()
    places = {key: np.where(share > 0, 100 * share, none) for key, share in shares.items()}
    rows = np.arange(len(names))
    axes.hlines(rows, places["truth"], places["prediction"], color=GRAY, linewidth=1.5, zorder=1)
    # Of equal shares both marks are seen: the diamond lies within the circle.
    looks = (("o", BLUE, 10), ("D", ORANGE, 5))
    for (key, values), (mark, color, size) in zip(places.items(), looks, strict=True):
        axes.plot(
            values, rows, mark, color=color, markersize=size, markeredgecolor="black", label=key
        )
    axes.set_xscale("log")
    axes.axvspan(none / 2, none * 2, color=PALE, zorder=0)
    axes.text(none, -0.9, "none", ha="center", color=GRAY, fontsize=9)
    axes.set_xlim(none / 2, 200)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value > none else "")
    axes.set_xlabel(f"percent of the {short_number(total)} tested pixels (log scale)")
    shown = support(counts.confusion, counts.groups)
    _name_classes(axes, names, shown["support_pixels"], shown["groups"])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.legend(loc="lower left", bbox_to_anchor=(0.15, 1), ncols=2, frameon=False, fontsize=9)
    plain(axes, "x")
    save_figure(figure, path)


def plot_component_recall(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws how many of the connected damages are found, by their size, of all and by class.

    Args:
        path: Picture to write, in the format of its suffix.
        content: Content of ``metrics.json`` with ``components``.
    """
    components = content["components"]
    per_class = components["per_class"]
    damage = [
        n for n, is_it in zip(per_class, damage_classes(list(per_class)), strict=True) if is_it
    ]
    rows = {"All damage": components["damage"], **{name: per_class[name] for name in damage}}
    bins = [_size(entry) for entry in components["damage"]]
    recall = np.array(
        [[np.nan if e["recall"] is None else e["recall"] for e in row] for row in rows.values()]
    )
    numbers = np.array([[entry["components"] for entry in row] for row in rows.values()])
    figure = new_figure(3.4 + 1.15 * len(bins), 1.6 + 0.34 * len(rows))
    axes = figure.subplots()
    image = axes.imshow(np.ma.masked_invalid(recall), cmap=PERCENT, vmin=0, vmax=100, aspect="auto")
    for (row, column), value in np.ndenumerate(recall):
        number = int(numbers[row, column])
        text = f"{value:.0f} % of {short_number(number)}" if number else "none"
        ink = ink_on(value) if number else GRAY
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=8)
    _part_cells(axes, len(rows), len(bins))
    axes.axhline(0.5, color="white", linewidth=4)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_xticks(range(len(bins)), bins)
    axes.tick_params(length=0)
    axes.set_xlabel(
        f"size of the damage in pixels; found: at least {100 * components['found_share']:g} % of "
        "its pixels\nare predicted as its class",
        fontsize=9,
    )
    figure.colorbar(image, label="found, percent", fraction=0.05)
    save_figure(figure, path)


def _part_cells(axes: Axes, rows: int, columns: int) -> None:
    """Draws thin white lines between the cells of a heat map."""
    axes.hlines(np.arange(rows - 1) + 0.5, -0.5, columns - 0.5, color="white", linewidth=0.4)
    axes.vlines(np.arange(columns - 1) + 0.5, -0.5, rows - 0.5, color="white", linewidth=0.4)


def _size(entry: Mapping[str, Any]) -> str:
    """Returns the sizes of a bin, such as 100 to 1023."""
    if entry["below"] is None:
        return f"{entry['from']} or more"
    return f"{entry['from']} to {entry['below'] - 1}"


def _cell(percent: float) -> str:
    """Returns a share above 0, so that neither a trace nor a near miss is rounded away."""
    if percent < 0.05:
        return "<0.1"
    return ">99.9" if 99.95 <= percent < 100 else f"{percent:.1f}".replace("100.0", "100")


def _name_classes(
    axes: Axes, names: Sequence[str], pixels: Iterable[int], groups: Iterable[int]
) -> None:
    """Writes the classes along the left, with true pixels and source groups."""
    pixels, groups = list(pixels), list(groups)
    labels = [
        f"{name} ({short_number(int(p))}, {g})"
        for name, p, g in zip(names, pixels, groups, strict=True)
    ]
    axes.set_yticks(range(len(names)), labels)
    for tick, number in zip(axes.get_yticklabels(), groups, strict=True):
        tick.set_color(support_ink(number))
