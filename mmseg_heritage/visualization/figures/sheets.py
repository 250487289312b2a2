"""Pictures of images beside each other, with titles, a legend, and the rule they were chosen by.

All are drawn from copies shrunk to :data:`SHOWN_EDGE`, so that a sheet of many large photographs
needs little memory.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from mmseg_heritage.images.masks import value_counts
from mmseg_heritage.images.writing import Palette, color_table
from mmseg_heritage.taxonomy import BACKGROUND, FINE_LEVEL, IGNORE_INDEX, Level, clean_id, hex_color
from mmseg_heritage.visualization.figures.display_colors import display_palette
from mmseg_heritage.visualization.figures.outcomes import (
    CLASS_COLORS,
    ERROR_COLORS,
    class_map_of_outcomes,
    class_picture,
    error_map,
    error_picture,
)
from mmseg_heritage.visualization.figures.panels import overlay, shrink
from mmseg_heritage.visualization.figures.style import (
    GRAY,
    PERCENT,
    legend_below,
    new_figure,
    save_figure,
)

SHOWN_EDGE = 640
"""Long edge in pixels of what is shown of an image."""
OUTSIDE = "outside (ignored)"
_NO_GROUP = (242, 242, 242)
_TILE = 2.9  # inches
_FLATTEST, _TALLEST = 0.4, 1.5  # height of a row in tiles, whatever the photograph's shape


@dataclass(frozen=True, eq=False)
class Shown:
    """What is shown of one image, shrunk.

    Attributes:
        id: Sample id.
        reason: Why it is shown, and what it scores.
        image: uint8 (H, W, 3), RGB.
        truth: uint8 (H, W), class ids or 255.
        prediction: uint8 (H, W), class ids.
        levels: Level name -> uint8 (H, W), ids of the groups that the model's own head predicted.
    """

    id: str
    reason: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    levels: Mapping[str, np.ndarray] = field(default_factory=dict)


def shrunk(
    image_id: str,
    reason: str,
    image: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    levels: Mapping[str, np.ndarray] | None = None,
) -> Shown:
    """Makes what is shown from a photograph and maps of full size; arguments as in :class:`Shown`.

    Maps are sampled, not averaged: every color in a picture is a class that is there.
    """
    small = shrink(image, SHOWN_EDGE)

    def sampled(class_map: np.ndarray) -> np.ndarray:
        size = small.shape[1::-1]
        return cv2.resize(class_map, size, interpolation=cv2.INTER_NEAREST_EXACT)

    return Shown(
        image_id,
        reason,
        small,
        sampled(truth),
        sampled(prediction),
        {name: sampled(class_map) for name, class_map in (levels or {}).items()},
    )


def plot_grid(
    path: str | Path, rows: Sequence[Shown], classes: Sequence[str], palette: Palette, rule: str
) -> None:
    """Draws input, truth, prediction and overlay, a row for each image.

    Args:
        path: Picture to write, in the format of its suffix.
        rows: What to show.
        classes: Class names.
        palette: One RGB color for each class.
        rule: By which the images were chosen, for below the picture.
    """
    palette = display_palette(classes, palette)
    table = color_table(palette)
    clean = clean_id(classes)
    pictures = []
    for shown in rows:
        inside = _inside(shown)
        tinted = overlay(shown.image, inside, palette, clean)
        pictures.append([shown.image, table[shown.truth], table[inside], tinted])
    titles = ["Input", "Truth", "Prediction", "Prediction over input"]
    figure = _sheet(pictures, titles, [_label(shown) for shown in rows])
    shown_maps = [class_map for shown in rows for class_map in (shown.truth, _inside(shown))]
    legend_below(figure, _legend(shown_maps, classes, palette), 6, rule)
    save_figure(figure, path)


def plot_errors(path: str | Path, rows: Sequence[Shown], damage: np.ndarray, rule: str) -> None:
    """Draws input and error map, a row for each image, in colors that color-blind readers see.

    Args:
        path: Picture to write, in the format of its suffix.
        rows: What to show.
        damage: bool (C,), which classes are damage.
        rule: By which the images were chosen, for below the picture.
    """
    pictures, labels = [], []
    for shown in rows:
        codes = error_map(shown.truth, shown.prediction, damage)
        pictures.append([shown.image, error_picture(codes)])
        labels.append(_label(shown))
    figure = _sheet(pictures, ["Input", "Errors"], labels)
    legend_below(figure, ERROR_COLORS, 3, rule)
    save_figure(figure, path)


def plot_class(path: str | Path, rows: Sequence[Shown], name: str, index: int, rule: str) -> None:
    """Draws where one class is found, missed and falsely found; the rest is the gray photograph.

    Args:
        path: Picture to write, in the format of its suffix.
        rows: What to show.
        name: Of the class.
        index: Id of the class.
        rule: By which the images were chosen, for below the picture.
    """
    pictures = []
    for shown in rows:
        codes = class_map_of_outcomes(shown.truth, shown.prediction, index)
        pictures.append([shown.image, class_picture(shown.image, codes)])
    figure = _sheet(pictures, ["Input", name], [_label(shown) for shown in rows])
    legend = {f"{key} {name}": color for key, color in CLASS_COLORS.items()}
    legend_below(figure, {**legend, "not the class, right": "#c0c0c0", OUTSIDE: GRAY}, 3, rule)
    save_figure(figure, path)


def plot_levels(
    path: str | Path,
    shown: Shown,
    classes: Sequence[str],
    palette: Palette,
    levels: Mapping[str, Level],
) -> None:
    """Draws truth and prediction of one image at every level, a row for each.

    Args:
        path: Picture to write, in the format of its suffix.
        shown: What to show, with the maps of the levels.
        classes: Names of the classes, the lowest level.
        palette: One RGB color for each class.
        levels: Level name -> grouping of the classes.
    """
    pictures, labels = [], []
    legend: dict[str, str] = {}
    lowest = Level(tuple(classes), display_palette(classes, palette), tuple(range(len(classes))))
    found = {**shown.levels, FINE_LEVEL: shown.prediction}
    for name, level in {**levels, FINE_LEVEL: lowest}.items():
        truth = np.array(level.lookup(), dtype=np.uint8)[shown.truth]
        prediction = np.where(truth == IGNORE_INDEX, truth, found[name])
        table = color_table(level.colors)
        tiles = [table[truth], table[prediction]]
        for tile, ids in zip(tiles, (truth, prediction), strict=True):
            tile[(ids == IGNORE_INDEX) & (shown.truth != IGNORE_INDEX)] = _NO_GROUP
        pictures.append([shown.image, *tiles])
        labels.append(name)
        own = _legend([truth, prediction], level.classes, level.colors)
        own.pop(OUTSIDE, None)
        legend |= {f"{name}: {key}": color for key, color in own.items()}
    legend |= {"level does not apply": hex_color(_NO_GROUP), OUTSIDE: hex_color(BACKGROUND.color)}
    figure = _sheet(pictures, ["Input", "Truth", "Prediction"], labels)
    note = f"{shown.id}; {shown.reason}. Each level as the model's own head predicts it."
    legend_below(figure, legend, 4, note)
    save_figure(figure, path)


def plot_activations(
    path: str | Path,
    shown: Shown,
    activations: Sequence[np.ndarray],
    name: str,
    index: int,
    note: str,
) -> None:
    """Draws which parts of an image activate a class, a picture for each feature map.

    Args:
        path: Picture to write, in the format of its suffix.
        shown: What to show.
        activations: Of each feature map float (h, w), from 0 upwards.
        name: Of the class.
        index: Id of the class.
        note: How the activations were made, for below the picture.
    """
    codes = class_map_of_outcomes(shown.truth, shown.prediction, index)
    tiles = [shown.image, class_picture(shown.image, codes)]
    titles = ["Input", f"{name}: found and missed"]
    for activation in activations:
        tiles.append(_heat(shown.image, activation))
        grid = f"map of {activation.shape[1]} x {activation.shape[0]}"
        titles.append(grid if activation.any() else f"{grid}: no activation")
    figure = _sheet([tiles], titles, [_label(shown)])
    legend = {f"{key} {name}": color for key, color in CLASS_COLORS.items()}
    ends = {"strongest for it": hex_color(_cividis(1.0)), "nothing": hex_color(_cividis(0.0))}
    legend_below(figure, {**legend, **ends, OUTSIDE: GRAY}, 6, note)
    save_figure(figure, path)


def _heat(image: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """Lays an activation over a photograph, scaled to its strongest place."""
    strongest = float(activation.max())
    share = (activation / strongest if strongest > 0 else activation).astype(np.float32)
    share = cv2.resize(share, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    heat = (255 * PERCENT(share)[..., :3]).astype(np.uint8)
    return cv2.addWeighted(image, 0.35, heat, 0.65, 0)


def _cividis(share: float) -> list[int]:
    """Returns the color of a share in 0..1."""
    return [round(255 * part) for part in PERCENT(share)[:3]]


def _inside(shown: Shown) -> np.ndarray:
    """Returns the prediction where the truth says something; elsewhere nothing is scored."""
    return np.where(shown.truth == IGNORE_INDEX, shown.truth, shown.prediction)


def _label(shown: Shown) -> str:
    """Returns the id and the parts of the reason, in short lines."""
    parts = [shown.id, *shown.reason.split("; ")]
    return "\n".join(line for part in parts for line in textwrap.wrap(part, 26))


def _legend(maps: Sequence[np.ndarray], classes: Sequence[str], palette: Palette) -> dict[str, str]:
    """Returns the names and colors of what is in some maps, in the order of the classes."""
    table = color_table(palette)
    names = [*classes, *[OUTSIDE] * (256 - len(classes))]
    return {names[i]: hex_color(table[i].tolist()) for i in np.flatnonzero(value_counts(*maps))}


def _sheet(
    rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], labels: Sequence[str]
) -> Figure:
    """Lays pictures out: titles above the columns, labels left of the rows."""
    shapes = [row[0].shape for row in rows]
    heights = [min(max(h / w, _FLATTEST), _TALLEST) for h, w, _ in shapes]
    figure = new_figure(1.6 + _TILE * len(titles), 1.3 + _TILE * sum(heights))
    grid = figure.subplots(len(rows), len(titles), squeeze=False, height_ratios=heights)
    for place, row in enumerate(rows):
        for axes, picture in zip(grid[place], row, strict=True):
            axes.imshow(picture, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_color(GRAY)
        grid[place, 0].set_ylabel(labels[place], rotation=0, ha="right", va="center", fontsize=9)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=10)
    return figure
