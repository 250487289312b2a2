"""Class weights beside the pixels they were made from: a bar chart and a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg_heritage.utils.tables import plain_table
from mmseg_heritage.visualization.figures.style import BLUE, RED, new_figure, save_figure


def plot_class_weights(path: str | Path, content: Mapping[str, Any]) -> None:
    """Draws weights and pixel counts of all classes.

    Args:
        path: Picture to write, in the format of its suffix.
        content: What :func:`mmseg_heritage.dataprep.weights.weight_formulas.save_class_weights`
        wrote.
    """
    classes, weights = content["classes"], content["class_weights"]
    counts = content["pixel_counts"]
    figure = new_figure(9, 1.5 + 0.3 * len(classes))
    left, right = figure.subplots(1, 2, sharey=True)
    rows = range(len(classes))
    left.barh(rows, counts, color=BLUE)
    left.set_xscale("log")
    left.set_xlim(left=0.5)  # one pixel is a bar, none is not
    left.set_xlabel("pixels in the training part")
    left.set_yticks(rows, classes)
    left.invert_yaxis()
    bars = right.barh(rows, weights, color=RED)
    labels = [f"{w:.3g}" if n else "no pixels" for w, n in zip(weights, counts, strict=True)]
    right.bar_label(bars, labels, padding=3)
    right.margins(x=0.2)
    right.set_xlabel(f"class weight, {content['formula']}, ratio {content['ratio']:.4g}")
    split = content.get("split")
    if split:
        figure.suptitle(f"{split['name']}: {split['images']} training images")
    save_figure(figure, path)


def weight_table(content: Mapping[str, Any]) -> str:
    """Lays out what the weights were made from, and says which classes have no pixels.

    Args:
        content: As for :func:`plot_class_weights`, of a split.
    """
    split = content["split"]
    columns = (content[key] for key in ("classes", "image_counts", "pixel_counts", "class_weights"))
    rows = [
        [name, images, f"{pixels:,}", f"{weight:.4g}"]
        for name, images, pixels, weight in zip(*columns, strict=True)
    ]
    lines = [
        plain_table(["class", "images", "pixels", "weight"], rows),
        f"{split['images']} images of the training part of '{split['name']}' "
        f"({split['copies_among_them']} copies among them), {content['formula']}, "
        f"largest ratio {content['ratio']:.5g}",
    ]
    if content["without_pixels"]:
        names = ", ".join(content["without_pixels"])
        lines.append(f"no pixels, so weight 0, which means not trained: {names}")
    return "\n".join(lines)
