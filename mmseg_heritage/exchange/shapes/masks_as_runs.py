"""Masks as lengths of runs: COCO's RLE, and that of Label Studio's brush."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SIZES = (3, 4, 8, 16)  # bits of the lengths of runs in Label Studio's coding


def runs_of(values: np.ndarray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns where runs of equal values begin in a flat array, and how long they are."""
    if not values.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    begin = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    return begin, np.diff(np.concatenate([begin, [values.size]]))


def coco_counts(
    mask: np.ndarray, place: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.int64]:
    """Returns COCO's counts: lengths of runs column by column, zeros first.

    Args:
        mask: bool (h, w), part of an image that is 0 elsewhere.
        place: x and y of its corner in the image.
        size: (width, height) of the image.
    """
    (x, y), (width, height) = place, size
    column, row = np.nonzero(mask.T)
    where = (column + x) * height + row + y
    begins = np.concatenate([[True], np.diff(where) != 1])
    first = where[begins]
    last = where[np.concatenate([begins[1:], [True]])]
    edges = np.empty(2 * len(first), np.int64)
    edges[0::2], edges[1::2] = first, last + 1
    counts = np.diff(np.concatenate([[0], edges, [width * height]]))
    return counts if counts[-1] else counts[:-1]


def compress_counts(counts: np.ndarray) -> str:
    """Returns counts as pycocotools writes them: differences to the last but one, as letters."""
    values = counts.astype(np.int64).copy()
    values[3:] -= counts[1:-2]
    letters: list[str] = []
    for value in values.tolist():
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            letters.append(chr((bits | (0x20 if more else 0)) + 48))
    return "".join(letters)


def expand_counts(text: str) -> list[int]:
    """Returns the counts that :func:`compress_counts` has written.

    Raises:
        ValueError: If the text is damaged.
    """
    counts: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("the counts are damaged")
        value |= (bits & 0x1F) << shift
        shift += 5
        if not bits & 0x20:
            value -= (1 << shift) if bits & 0x10 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise ValueError("the counts are damaged")
    return counts


def coco_mask(counts: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns the mask (H, W) of COCO's counts for an image of (width, height).

    Raises:
        ValueError: If they are not those of such an image.
    """
    width, height = size
    lengths = np.array(counts, np.int64)
    if (lengths < 0).any() or lengths.sum() > width * height:
        raise ValueError("the counts do not fit the size of the image")
    flat = np.zeros(width * height, bool)
    flat[: lengths.sum()] = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return flat.reshape(width, height).T


def brush_code(mask: np.ndarray) -> list[int]:
    """Returns a mask (H, W) as Label Studio's brush codes it: opaque where it is True.

    The coding is that of rle-pack (thi.ng/umbrella) for the four channels of each pixel: 32 bits
    for their number, 5 for the bits of a value less 1, four times 4 for the bits of lengths less 1;
    then runs, each of a bit 1, 2 bits for which of the sizes, the length less 1, and the value.
    """
    flat = mask.ravel()
    begin, length = runs_of(flat)
    value = np.where(flat[begin], 255, 0)
    most = 1 << _SIZES[-1]
    length = 4 * length
    pieces = -(-length // most)
    value = np.repeat(value, pieces)
    size = np.full(len(value), most)
    ends = np.cumsum(pieces) - 1
    size[ends] = length - (pieces - 1) * most
    kind = np.searchsorted([1 << s for s in _SIZES], size)
    bits = np.array(_SIZES)[kind]
    head = _bits([4 * flat.size, 8 - 1, *(s - 1 for s in _SIZES)], [32, 5, 4, 4, 4, 4])
    count = 3 + bits + 8
    number = ((0b100 | kind) << (bits + 8)) | ((size - 1) << 8) | value
    return np.packbits(np.concatenate([head, _bits(number, count)])).tolist()


def _bits(numbers: Sequence[int] | np.ndarray, counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Returns the lowest bits of numbers, as many as counts say, the highest first."""
    counts = np.asarray(counts, np.int64)
    total = np.repeat(np.cumsum(counts), counts)
    shift = total - 1 - np.arange(len(total))
    return ((np.repeat(np.asarray(numbers, np.int64), counts) >> shift) & 1).astype(np.uint8)


def brush_mask(code: Sequence[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Returns the mask (H, W) of :func:`brush_code`, or of Label Studio, for (width, height).

    Raises:
        ValueError: If the code is damaged, or of another size.
    """
    width, height = size
    content = bytes(code)  # ValueError, TypeError if these are no bytes
    place = 0
    left = 8 * len(content)

    def take(bits: int) -> int:
        nonlocal place
        if place + bits > left:
            raise ValueError("the code of the brush is damaged")
        first, last = place // 8, (place + bits + 7) // 8
        value = int.from_bytes(content[first:last], "big") >> (8 * last - place - bits)
        place += bits
        return value & ((1 << bits) - 1)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    if total != 4 * width * height:
        raise ValueError(f"the code of the brush is not of {width}x{height} pixels")
    values, lengths, done = list[int](), list[int](), 0
    while done < total:
        is_run = take(1)
        length = take(sizes[take(2)]) + 1
        if is_run:
            values.append(take(word))
            lengths.append(length)
        else:
            values += [take(word) for _ in range(length)]
            lengths += [1] * length
        done += length
    if done != total:
        raise ValueError("the code of the brush is damaged")
    flat = np.repeat(np.array(values) >= 1 << (word - 1), lengths)
    return flat[3::4].reshape(height, width)  # of red, green, blue and alpha the last
