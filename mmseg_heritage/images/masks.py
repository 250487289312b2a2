"""Reading annotations as class ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import (
    ImageFault,
    ImageHeader,
    Source,
    label_of,
    open_image,
    strips_of,
    write_turned,
)
from mmseg_heritage.taxonomy import ARTEFACT, IGNORE_INDEX, UNDECIDED, ClassList

_BACKGROUND = 16
"""What other programs make of outside the object, beside the classes 0..15."""
_MASK_MODES = ("L", "P", "I", "I;16", "I;16B", "I;16L")
_CHANNEL_MODES = ("LA", "RGB", "RGBA")
_EXPECTED = "expected a mask with one channel of class ids"
_FEW = 8  # classes that a message names
_COUNTED = 1 << 22  # pixels counted at a time: OpenCV's float32 counts are exact below 2**24


def read_mask(
    source: Source,
    size: tuple[int, int] | None = None,
    name: str | None = None,
    classes: ClassList = ARTEFACT,
    undecided: bool = False,
) -> np.ndarray:
    """Reads an annotation, turned like a photograph: the id of a class or 255 for each pixel.

    Args:
        source: Path or content of a PNG, TIFF or BMP with one channel (Pillow modes L, P, I or
            I;16).
        size: Expected (width, height), that of the photograph.
        name: What messages call it, if not by its path.
        classes: Those that the mask can hold.
        undecided: Whether 254 is one of a prediction, where no class was chosen.

    Returns:
        uint8 array of shape (H, W).

    Raises:
        ImageFault: If the file is missing, truncated, lossy, has several channels, another size,
            values that are no class ids, or more than :func:`max_pixels`.
    """
    label = label_of(source, name)
    illegal: Counter[int] = Counter()
    legal = np.zeros(256, dtype=bool)
    legal[[*classes.ids, IGNORE_INDEX, *([UNDECIDED] if undecided else [])]] = True

    channels = 1

    def mode_of(header: ImageHeader) -> str:
        _check_storage(header, label)
        return header.mode

    def to_ids(values: np.ndarray) -> np.ndarray:
        nonlocal channels
        if values.ndim == 3:
            channels = values.shape[-1]
            values = _equal_channels(values, label)
        illegal.update(_illegal_values(values, legal))
        return values

    mask = read_labels(source, mode_of, to_ids, name=name)
    if channels > 1:
        found = "gray with alpha" if channels == 2 else f"{channels} channels, its colors equal"
        raise ImageFault(f"{label}: {_EXPECTED}, found {found}; save the gray alone", "mode")
    check_mask_size(mask, size, label)
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
    mode_of: Callable[[ImageHeader], str],
    to_ids: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int] | None = None,
    name: str | None = None,
) -> np.ndarray:
    """Reads an annotation of any coding, turned like a photograph.

    Holds at most 6 bytes for each pixel.

    Args:
        source: Path or content of an image file.
        mode_of: Takes the header of the file, and returns the Pillow mode that values are read in;
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
    with open_image(source, label, "mask") as opened:
        mode = mode_of(opened.header)
        width, height = opened.header.size
        mask = np.empty((height, width), np.uint8)
        for rows, part in strips_of(opened):
            values = np.asarray(part if part.mode == mode else part.convert(mode))
            ids = to_ids(values).astype(np.uint8, copy=False)
            write_turned(mask, rows, ids, opened.header.orientation)
    check_mask_size(mask, size, label)
    return mask


def _check_storage(header: ImageHeader, label: str) -> None:
    """Refuses masks in files that cannot keep ids as they are."""
    if header.is_lossy:
        raise InputError(
            f"{label}: found a mask as {header.format}, which changes ids along every edge; export "
            "it again as PNG from where it was drawn, or let import-data read it by thresholds"
        )
    bits = 1 if header.mode == "1" else header.bits
    if bits < 8 and header.mode in ("1", "L"):
        raise InputError(
            f"{label}: {_EXPECTED}, found {bits}-bit gray, which is read stretched to 0..255; save "
            "it with 8 bits, or let import-data say what the values mean"
        )
    if header.mode not in (*_MASK_MODES, *_CHANNEL_MODES) or header.is_deep:
        raise InputError(f"{label}: {_EXPECTED}, found mode {header.mode}; save ids with 8 bits")


def _equal_channels(values: np.ndarray, label: str) -> np.ndarray:
    """Returns the gray of (rows, W, channels); alpha, the second or fourth channel, is dropped."""
    colors = values[..., : 3 if values.shape[-1] > 2 else 1]
    if (colors != colors[..., :1]).any():
        raise InputError(
            f"{label}: {_EXPECTED}, found colors; import-data reads masks painted in ARTeFACT's "
            "colors with the mapping artefact_colors, and others with a mapping of their own"
        )
    return colors[..., 0]


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


def position_table(values: Sequence[int], undecided: bool = False) -> NDArray[np.uint8]:
    """Returns the position of each value of a mask in a list of classes.

    Args:
        values: Of each class in masks.
        undecided: Whether 254 stays, which predictions hold where no class was chosen.

    Returns:
        uint8 (256,), 255 at values of no class.
    """
    table = np.full(256, IGNORE_INDEX, np.uint8)
    if undecided:
        table[UNDECIDED] = UNDECIDED
    table[list(values)] = range(len(values))
    return table


def value_counts(*maps: np.ndarray) -> NDArray[np.int64]:
    """Counts the values 0 to 255 in maps of ids, together; int64 (256,)."""
    counts = np.zeros(256, dtype=np.int64)
    for ids in maps:
        for [values] in _counted_pieces(ids):
            counts += _histogram([values], 256)
    return counts


def class_pixels(mask: np.ndarray, classes: ClassList = ARTEFACT) -> NDArray[np.int64]:
    """Counts the pixels of each class in one mask.

    Args:
        mask: uint8 (H, W), ids of classes or 255.
        classes: Those that the mask can hold.

    Returns:
        int64 (classes + 1,): the classes in their order, then the pixels outside the object (255).
    """
    return value_counts(mask)[[*classes.ids, IGNORE_INDEX]]


def pair_counts(first: np.ndarray, second: np.ndarray, number: int) -> NDArray[np.int64]:
    """Counts the pixels of two maps by the pair of their values below a number.

    Args:
        first: uint8, any shape.
        second: uint8, the same shape.
        number: Of values, 1 to 256; pixels with another in either map are left out.

    Returns:
        int64 (number, number); rows are the values of the first map.
    """
    counts = np.zeros((number, number), dtype=np.int64)
    for pieces in _counted_pieces(first, second):
        counts += _histogram(pieces, number)
    return counts


def _counted_pieces(*maps: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Walks maps in step, in pieces (1, L) that can be counted exactly."""
    flat = [ids.reshape(1, -1) for ids in maps]
    for start in range(0, flat[0].size, _COUNTED):
        pieces = (ids[:, start : start + _COUNTED] for ids in flat)
        yield [np.ascontiguousarray(piece, dtype=np.uint8) for piece in pieces]


def _histogram(pieces: list[np.ndarray], number: int) -> NDArray[np.int64]:
    """Counts values below a number in one piece, or pairs of them in two."""
    several = len(pieces)
    found = cv2.calcHist(
        pieces, list(range(several)), None, [number] * several, [0, number] * several
    )
    return found.reshape((number,) * several).astype(np.int64)


def _illegal_values(values: np.ndarray, legal: NDArray[np.bool_]) -> dict[int, int]:
    """Returns the values that are no class ids, with their numbers of pixels."""
    if values.dtype == np.uint8 or (values.size and values.min() >= 0 and values.max() <= 255):
        # Counting is far faster than sorting on masks of many megapixels.
        counts = value_counts(values)
        return {int(v): int(counts[v]) for v in np.flatnonzero(counts * ~legal)}
    present, numbers = np.unique(values, return_counts=True)
    return {
        int(value): int(number)
        for value, number in zip(present, numbers, strict=True)
        if not (0 <= value <= 255 and legal[int(value)])
    }
