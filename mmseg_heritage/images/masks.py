"""Reading annotations as class ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import (
    DECODE_ERRORS,
    ImageFault,
    Source,
    damage,
    label_of,
    open_image,
    strips_of,
)
from mmseg_heritage.taxonomy import ARTEFACT, IGNORE_INDEX, ClassList

_BACKGROUND = 16
"""What other programs make of outside the object, beside the classes 0..15."""
_MASK_MODES = ("L", "P", "I", "I;16", "I;16B", "I;16L")
_FEW = 8  # classes that a message names


def read_mask(
    source: Source,
    size: tuple[int, int] | None = None,
    name: str | None = None,
    classes: ClassList = ARTEFACT,
) -> np.ndarray:
    """Reads an annotation, turned like a photograph: the id of a class or 255 for each pixel.

    Args:
        source: Path or content of a single-channel image file (Pillow modes L, P, I or I;16).
        size: Expected (width, height), that of the photograph.
        name: What messages call it, if not by its path.
        classes: Those that the mask can hold.

    Returns:
        uint8 array of shape (H, W).

    Raises:
        ImageFault: If the file is missing, truncated, has several channels, another size, values
            that are no class ids, or more than :func:`max_pixels`.
    """
    label = label_of(source, name)
    illegal: Counter[int] = Counter()
    legal = np.zeros(256, dtype=bool)
    legal[[*classes.ids, IGNORE_INDEX]] = True

    def mode_of(image: Image.Image) -> str:
        if image.mode not in _MASK_MODES:
            raise InputError(
                f"{label}: expected a mask with one channel of class ids, found mode {image.mode}; "
                "save the ids, not their colours"
            )
        return image.mode

    def to_ids(values: np.ndarray) -> np.ndarray:
        illegal.update(_illegal_values(values, legal))
        return values

    mask = read_labels(source, mode_of, to_ids, size, name)
    if illegal:
        shown = ", ".join(map(str, sorted(illegal)[:5])) + (", ..." if len(illegal) > 5 else "")
        raise ImageFault(
            f"{label}: expected class ids {_ids_text(classes)} or 255, found {shown} "
            f"({illegal.total()} of {mask.size} pixels){_hint(classes, illegal)}",
            "ids",
            illegal,
        )
    return mask


def read_labels(
    source: Source,
    mode_of: Callable[[Image.Image], str],
    to_ids: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int] | None = None,
    name: str | None = None,
) -> np.ndarray:
    """Reads an annotation of any coding, turned like a photograph.

    Args:
        source: Path or content of an image file.
        mode_of: Takes the file as Pillow opened it, and returns the mode that values are read in;
            raises InputError where the coding cannot be in such a file.
        to_ids: Takes the values of some rows, (rows, W) or (rows, W, channels), and returns their
            class ids, (rows, W).
        size: Expected (width, height), that of the photograph.
        name: What messages call it, if not by its path.

    Returns:
        uint8 array of shape (H, W).

    Raises:
        ImageFault: If the file is missing, truncated, of a mode that ``mode_of`` refuses, of
            another size, or has more than :func:`max_pixels`.
    """
    label = label_of(source, name)
    with open_image(source, label) as image:
        try:
            mode = mode_of(image)
            ImageOps.exif_transpose(image, in_place=True)
            labels = image if image.mode == mode else image.convert(mode)
            mask = np.empty((labels.height, labels.width), np.uint8)
            for rows, values in strips_of(labels):
                mask[rows] = to_ids(values).astype(np.uint8, copy=False)
        except InputError as error:
            raise ImageFault(error.summary, "mode") from error
        except DECODE_ERRORS as error:
            raise damage(label, "mask", error) from error
    check_mask_size(mask, size, label)
    return mask


def check_mask_size(mask: np.ndarray, size: tuple[int, int] | None, label: str) -> None:
    """Verifies that a mask (H, W) has the (width, height) of its photograph, where that is known.

    Raises:
        ImageFault: If not.
    """
    height, width = mask.shape
    if size is not None and (width, height) != size:
        raise ImageFault(
            f"{label}: expected the size of its image, {size[0]}x{size[1]}, found {width}x{height}",
            "size",
        )


def _ids_text(classes: ClassList) -> str:
    """Returns the ids of classes: a few with their names, many as ranges such as '0..15'."""
    if len(classes.ids) <= _FEW:
        return ", ".join(f"{c.id} ({c.name})" for c in classes.classes)
    ids = sorted(classes.ids)
    firsts = [i for i in ids if i - 1 not in ids]
    lasts = [i for i in ids if i + 1 not in ids]
    return ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in zip(firsts, lasts, strict=True))


def _hint(classes: ClassList, illegal: Mapping[int, int]) -> str:
    """Returns what to do about values that ARTeFACT does not have."""
    if classes != ARTEFACT:
        return ""
    if _BACKGROUND in illegal:
        return (
            f"; in data with 17 classes {_BACKGROUND} is the background: map it to 255 ('ignore') "
            "with import-data"
        )
    return "; a data set with classes of its own lists them in classes.json"


def _illegal_values(values: np.ndarray, legal: NDArray[np.bool_]) -> dict[int, int]:
    """Returns the values that are no class ids, with their numbers of pixels."""
    if values.dtype == np.uint8 or (values.size and values.min() >= 0 and values.max() <= 255):
        # Counting is far faster than sorting on masks of many megapixels.
        counts = np.bincount(values.ravel(), minlength=256)
        return {int(v): int(counts[v]) for v in np.flatnonzero(counts * ~legal)}
    present, numbers = np.unique(values, return_counts=True)
    return {
        int(value): int(number)
        for value, number in zip(present, numbers, strict=True)
        if not (0 <= value <= 255 and legal[int(value)])
    }
