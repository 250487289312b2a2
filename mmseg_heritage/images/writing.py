"""Writing photographs, and class maps that viewers show in color and programs read as ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import strips
from mmseg_heritage.taxonomy import BACKGROUND, IGNORE_INDEX, UNDECIDED, UNDECIDED_COLOR
from mmseg_heritage.utils.files import replacing

Palette = Sequence[Sequence[int]]
"""One sRGB color, three numbers in 0..255, for each class."""


def color_table(palette: Palette) -> np.ndarray:
    """Returns a uint8 (256, 3) RGB table: class id -> color.

    254 is what is not decided, 255 the data set's Background.
    """
    table = np.zeros((256, 3), dtype=np.uint8)
    table[: len(palette)] = np.asarray(palette, dtype=np.uint8).reshape(-1, 3)
    if len(palette) <= UNDECIDED:
        table[UNDECIDED] = UNDECIDED_COLOR
    table[IGNORE_INDEX] = BACKGROUND.color
    return table


def stored_colors(
    palette: Palette, mask_values: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what files of class maps hold, see :func:`write_class_map`.

    Returns:
        uint8 (256,): training id -> value in the file; and uint8 (256, 3): that -> RGB color.
    """
    values = range(len(palette)) if mask_values is None else mask_values
    table, colors = np.arange(256, dtype=np.uint8), color_table(())
    table[: len(palette)] = values
    colors[list(values)] = palette
    return table, colors


def write_class_map(
    path: str | Path,
    class_map: np.ndarray,
    palette: Palette,
    mask_values: Sequence[int] | None = None,
) -> None:
    """Writes classes as a PNG with the palette: viewers show colors, programs read ids.

    Args:
        path: File ending in .png.
        class_map: uint8 (H, W), training ids or 255.
        palette: One RGB color for each training id.
        mask_values: What the file holds for each training id, so that it reads like a mask of the
            data set (``mask_values`` of its metainfo). None writes the training ids.
    """
    table, colors = stored_colors(palette, mask_values)
    image = Image.fromarray(table[class_map]).convert("P")
    # convert() quantizes colors only for RGB; for L it keeps the values as indices.
    image.putpalette(colors.ravel().tolist())
    with replacing(path) as temporary:
        image.save(temporary)


def write_image(path: str | Path, image: np.ndarray, reuse: bool = False) -> None:
    """Writes RGB, RGBA or gray levels in the format of the suffix, .png or .jpg.

    Args:
        path: File ending in .png or .jpg.
        image: uint8 (H, W, 3), RGB, (H, W, 4), RGBA of a .png, or (H, W).
        reuse: Whether its memory may be used, so that it holds something else afterwards.

    Raises:
        InputError: If the format does not hold so many pixels.
    """
    suffix = Path(path).suffix
    # PNG's default level takes five times as long as level 1, for files that are a tenth smaller.
    options = (
        [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    )
    # Not Pillow, which would hold another 4 bytes for each pixel.
    to_bgr = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    pixels = image if reuse or image.ndim == 2 else np.empty(image.shape, image.dtype)
    if image.ndim == 3:
        for rows in strips(*image.shape[:2]):
            pixels[rows] = cv2.cvtColor(image[rows], to_bgr[image.shape[2]])
    done, content = cv2.imencode(suffix, pixels, options)
    if not done:
        raise InputError(
            f"{path}: {image.shape[1]}x{image.shape[0]} pixels cannot be written as {suffix}"
        )
    with replacing(path) as temporary:
        content.tofile(temporary)
