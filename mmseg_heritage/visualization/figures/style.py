"""The one look of all figures: colors, marks, how they are saved.

Figures are :class:`matplotlib.figure.Figure` objects, without pyplot, so that nothing is left in
its global state and no window opens. Colors are those of Okabe and Ito and the color map cividis
(Nunez et al., PLOS ONE 2018), which color-blind readers can tell apart; what a color says, a mark
or a number says too. Class maps keep the palette of the data set, with a legend.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmseg_heritage.evaluation.comparing.bootstrap import MIN_GROUPS
from mmseg_heritage.taxonomy import GROUP_COLORS, hex_color
from mmseg_heritage.utils.files import replacing

RED, GREEN, PURPLE, BLUE, ORANGE, SKY, YELLOW = map(hex_color, GROUP_COLORS)
GRAY, PALE, BLACK = "#767676", "#e4e4e4", "#000000"
SERIES = (BLACK, RED, GREEN, PURPLE, BLUE, ORANGE, SKY)
"""Colors of runs and other things beside each other."""

PERCENT = colormaps["cividis"].with_extremes(bad=PALE)
"""Color map of shares; what has none is pale gray."""

FEW_GROUPS = f"gray: fewer than {MIN_GROUPS}"
DPI = 120
_CHARACTERS = 13  # of a note in an inch


def ink_on(percent: float) -> str:
    """Returns the color of a text that is readable on a field of :data:`PERCENT`, 0..100."""
    return BLACK if np.isnan(percent) or percent > 50 else "white"


def support_ink(groups: int) -> str:
    """Returns the color for the name of a class that so many source groups show."""
    return BLACK if groups >= MIN_GROUPS else GRAY


def new_figure(width: float, height: float) -> Figure:
    """Returns an empty figure of a size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def plain(axes: Axes, grid: Literal["x", "y", "both"]) -> None:
    """Takes off the frame above and on the right; adds a pale grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)


def note_below(figure: Figure, note: str) -> None:
    """Adds a note, wrapped to the width, below everything."""
    figure.supxlabel(_wrapped(note, figure), fontsize=9)


def _wrapped(note: str, figure: Figure) -> str:
    return textwrap.fill(note, int(_CHARACTERS * figure.get_figwidth()))


def legend_below(figure: Figure, colors: Mapping[str, str], columns: int, note: str) -> None:
    """Adds a note, wrapped to the width, and a legend of colored fields below everything."""
    fields = [
        Patch(facecolor=color, edgecolor=BLACK, linewidth=0.6, label=name)
        for name, color in colors.items()
    ]
    figure.legend(
        handles=fields,
        loc="outside lower center",
        ncols=max(1, min(columns, len(fields))),
        frameon=False,
        fontsize=9,
        title=_wrapped(note, figure),
        title_fontsize=9,
    )


def short_number(value: int) -> str:
    """Returns a count in at most four digits, such as 3.2 M."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return str(value)


def file_name(text: str) -> str:
    """Returns a name as part of a file's name: 'Burn marks' -> 'burn_marks'."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "unnamed"


def save_figure(figure: Figure, path: str | Path) -> None:
    """Writes a figure in the format of the suffix, replacing ``path`` in one step."""
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DPI)
