"""The pictures that `predict` draws of a photograph: its panel, overlay and preview."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmseg_heritage.apis.photograph_list import Photograph
from mmseg_heritage.images.formats import READ_FORMATS
from mmseg_heritage.images.masks import value_counts
from mmseg_heritage.images.writing import Palette, write_image
from mmseg_heritage.taxonomy import CLEAN, UNDECIDED_NAME, clean_id
from mmseg_heritage.visualization.figures.legend import Ruler
from mmseg_heritage.visualization.figures.panels import (
    legend_entries,
    panel,
    shrink,
    tint,
    with_legend,
)
from mmseg_heritage.visualization.figures.shown_maps import shown_map

PREVIEW_EDGE = 800
"""Long edge in pixels of the small copy of an overlay, without its legend."""
PANEL_EDGE = 2000
"""Long edge in pixels of the photograph and of the map in a panel."""
_MAX_JPEG_SIDE = 65000  # 65535, less room for a legend


def write_pictures(
    image: np.ndarray,
    class_map: np.ndarray,
    classes: Sequence[str],
    colors: Palette,
    photograph: Photograph,
    out: Path,
    mm_per_pixel: float | None,
) -> dict[str, Path]:
    """Writes a panel, an overlay and a small copy of it, with legends and scale bars.

    Those of a JPEG photograph, and of a smaller copy of any, are JPEGs: as PNG they would be
    several times as large as the photograph.

    Args:
        image: uint8 (h, w, 3), RGB, of the size of the map or a smaller copy; becomes the overlay.
        class_map: uint8 (H, W), positions of classes or 255.
        classes: Names of the classes.
        colors: One sRGB color for each.
        photograph: Its file, and the name of its results.
        out: Folder of the results.
        mm_per_pixel: Millimeters of the object for each pixel of the map; None if not known.

    Returns:
        'overlay', 'panel' and 'preview' -> the file.
    """
    is_jpeg = photograph.path.suffix.lower() in READ_FORMATS["JPEG"]
    is_jpeg |= image.shape[:2] != class_map.shape
    suffix = ".jpg" if is_jpeg and max(image.shape) <= _MAX_JPEG_SIDE else ".png"
    places = {
        "overlay": photograph.result(out, f"_overlay{suffix}"),
        "panel": photograph.result(out, f"_panel{suffix}"),
        "preview": photograph.result(out, "_preview.jpg"),
    }
    clean, ruler = clean_id(classes), Ruler(max(class_map.shape), mm_per_pixel)
    maps = [("Prediction", class_map)]
    write_image(places["panel"], panel(image, maps, classes, colors, PANEL_EDGE, ruler))
    drawn = {*classes, UNDECIDED_NAME} - {CLEAN}
    counts = value_counts(class_map)
    entries = [e for e in legend_entries(counts, classes, colors) if e[0] in drawn]
    preview = shrink(image, PREVIEW_EDGE).copy()
    for place, picture in (("preview", preview), ("overlay", image)):
        tint(picture, shown_map(class_map, max(picture.shape[:2]), clean, counts), colors, clean)
        write_image(places[place], with_legend(picture, entries, ruler), reuse=True)
    return places
