"""Colors in which classes are shown, where the data set's own cannot be seen.

The palette of ARTeFACT stays in files. On photographs and pages, half of it cannot be told from
black or white (Cracks on black have a contrast of 1.5 to 1). Shown instead is a color of relative
luminance 0.10 to 0.30 (WCAG 2.2), which has a contrast of at least 3 to 1 to black and to white.
Over middle gray no color has that beside both, so overlays draw a white edge around each region.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.images.writing import Palette
from mmseg_heritage.taxonomy import ARTEFACT, CLEAN_COLOR, Color

# Found by exchange search over a grid of sRGB colors: least difference in OKLab, over normal vision
# and the three kinds of color blindness of Machado et al. (IEEE TVCG 2009), as large as it gets for
# 15 colors; then given to the classes so that each is nearest to its own color.
DISPLAY_COLORS: dict[str, Color] = {
    "Material loss": (105, 105, 255),
    "Peel": (255, 0, 195),
    "Dust": (225, 15, 90),
    "Scratch": (105, 120, 0),
    "Hair": (135, 45, 195),
    "Dirt": (180, 0, 90),
    "Fold": (240, 105, 105),
    "Writing": (105, 90, 15),
    "Cracks": (105, 0, 255),
    "Staining": (0, 165, 135),
    "Stamp": (150, 45, 150),
    "Sticker": (135, 135, 240),
    "Puncture": (150, 90, 135),
    "Burn marks": (135, 120, 180),
    "Lightleak": (165, 135, 30),
}
"""Of the classes of ARTeFACT, without Clean, which is never drawn over a photograph."""
_DARKEST, _LIGHTEST = 0.102, 0.298  # 3 to 1 beside black and white, and a little over for rounding


def luminance(color: Sequence[int]) -> float:
    """Returns the relative luminance of an sRGB color of WCAG 2.2, 0 (black) to 1 (white)."""
    return float(_linear(np.asarray(color, np.float64)) @ (0.2126, 0.7152, 0.0722))


def contrast(color: Sequence[int], other: Sequence[int]) -> float:
    """Returns the contrast of two sRGB colors of WCAG 2.2, 1 to 21."""
    darker, lighter = sorted((luminance(color), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def display_palette(classes: Sequence[str], palette: Palette) -> tuple[Color, ...]:
    """Returns the colors in which classes are shown.

    Args:
        classes: Their names.
        palette: One sRGB color for each.

    Returns:
        Black (Clean) stays. A class of ARTeFACT in its official color has that of
        :data:`DISPLAY_COLORS`. Any other color stays if it can be seen on black and on white; if
        not it is made lighter or darker as little as that takes, at the same hue.
    """
    official = dict(zip(ARTEFACT.names, ARTEFACT.colors, strict=True))
    shown = []
    for name, color in zip(classes, palette, strict=True):
        rgb = (int(color[0]), int(color[1]), int(color[2]))
        is_official = official.get(name) == rgb and name in DISPLAY_COLORS
        shown.append(DISPLAY_COLORS[name] if is_official else _visible(rgb))
    return tuple(shown)


def _visible(color: Color) -> Color:
    """Mixes a color with black or white until its luminance is between the two limits."""
    if color == CLEAN_COLOR or _DARKEST <= luminance(color) <= _LIGHTEST:
        return color
    goal, limit = (255, _DARKEST) if luminance(color) < _DARKEST else (0, _LIGHTEST)
    start = np.asarray(color, np.float64)
    for share in np.linspace(0, 1, 256):
        mixed = np.rint(start + share * (goal - start)).astype(int)
        if (luminance(mixed) >= limit) == (goal == 255):
            break
    r, g, b = mixed.tolist()
    return r, g, b


def _linear(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns sRGB values 0..255 as linear ones, 0..1 (IEC 61966-2-1)."""
    part = srgb / 255
    linear: NDArray[np.float64] = np.where(
        part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4
    )
    return linear
