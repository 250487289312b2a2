"""What became of each pixel: right or wrong, and how. Maps of codes, and their colors."""

from __future__ import annotations

import cv2
import numpy as np
from matplotlib.colors import to_rgb

from mmseg_heritage.taxonomy import IGNORE_INDEX
from mmseg_heritage.visualization.figures.style import BLUE, GRAY, GREEN, PURPLE, RED

CLEAN_RIGHT, DAMAGE_RIGHT, MISSED, FALSE, WRONG_CLASS = range(5)
ERROR_COLORS = {
    "undamaged, right": "#f2f2f2",
    "damage, right": GREEN,
    "missed damage": RED,
    "false damage": BLUE,
    "wrong class": PURPLE,
    "outside (ignored)": GRAY,
}
"""Name -> color of the codes 0..4, and of 255."""

TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = 1, 2, 3
CLASS_COLORS = {"found": GREEN, "false": BLUE, "missed": RED}
"""Name -> color of the codes 1..3 of a class; true negatives (0) keep the gray photograph."""

_SHADE = 0.55  # how much of a class's outcome covers the photograph


def error_map(truth: np.ndarray, prediction: np.ndarray, damage: np.ndarray) -> np.ndarray:
    """Compares a prediction with the truth, pixel by pixel.

    Args:
        truth: uint8 (H, W), class ids or 255.
        prediction: uint8 (H, W), class ids.
        damage: bool (C,), which classes are damage.

    Returns:
        uint8 (H, W): 0 right where nothing is damaged, 1 right damage, 2 damage predicted as
        undamaged, 3 undamaged predicted as damage, 4 another class of the same kind; 255 where the
        truth is 255.
    """
    kind = np.zeros(256, dtype=bool)
    kind[: len(damage)] = damage
    true_damage, found_damage = kind[truth], kind[prediction]
    codes = np.full(truth.shape, WRONG_CLASS, dtype=np.uint8)
    codes[true_damage & ~found_damage] = MISSED
    codes[~true_damage & found_damage] = FALSE
    right = truth == prediction
    codes[right] = CLEAN_RIGHT
    codes[right & true_damage] = DAMAGE_RIGHT
    codes[truth == IGNORE_INDEX] = IGNORE_INDEX
    return codes


def error_picture(codes: np.ndarray) -> np.ndarray:
    """Colors an error map.

    Args:
        codes: What :func:`error_map` returns.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    colors = list(ERROR_COLORS.values())
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(colors) - 1] = [_rgb(color) for color in colors[:-1]]
    table[IGNORE_INDEX] = _rgb(colors[-1])
    return table[codes]


def class_map_of_outcomes(truth: np.ndarray, prediction: np.ndarray, index: int) -> np.ndarray:
    """Says of each pixel what became of one class there.

    Args:
        truth: uint8 (H, W), class ids or 255.
        prediction: uint8 (H, W), class ids.
        index: Id of the class.

    Returns:
        uint8 (H, W): 0 true negative, 1 true positive, 2 false positive, 3 false negative; 255
        where the truth is 255.
    """
    there, found = truth == index, prediction == index
    codes = np.zeros(truth.shape, dtype=np.uint8)
    codes[there & found] = TRUE_POSITIVE
    codes[~there & found] = FALSE_POSITIVE
    codes[there & ~found] = FALSE_NEGATIVE
    codes[truth == IGNORE_INDEX] = IGNORE_INDEX
    return codes


def class_picture(image: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Tints a photograph, made gray and pale, with what became of one class.

    Args:
        image: uint8 (H, W, 3), RGB.
        codes: What :func:`class_map_of_outcomes` returns.

    Returns:
        uint8 (H, W, 3), RGB; outside is gray.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    picture = np.repeat((128 + gray // 2)[..., None], 3, axis=2)
    for code, color in enumerate(CLASS_COLORS.values(), start=1):
        where = codes == code
        tint = np.array(_rgb(color))
        picture[where] = ((1 - _SHADE) * gray[where][:, None] + _SHADE * tint).astype(np.uint8)
    picture[codes == IGNORE_INDEX] = _rgb(GRAY)
    return picture


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in to_rgb(color))
