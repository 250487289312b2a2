"""Finding photographs that show the same thing: rescaled, recompressed, mirrored or turned.

A hash is the signs of the lowest frequencies of a photograph (the pHash of Zauner, "Implementation
and Benchmarking of Perceptual Image Hash Functions", 2010, with 0 as the threshold). Mirroring a
photograph negates the odd frequencies and turning it by 90 degrees swaps rows and columns, so that
the hashes of all eight orientations follow from one, and two photographs are compared in the
orientation in which they are most alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.splits.groups import linked_groups

MAX_DISTANCE = 12
"""Up to how many bits two near-duplicates differ, unless the caller says otherwise.

Mirrored, rescaled, recompressed and lightly damaged copies stay below it. Two unrelated photographs
come as close about 3 times in a million (8 orientations x the binomial tail of 63 fair bits), which
then costs nothing but that they stay together.
"""

_THUMBNAIL = 32  # side in pixels of the square that is transformed
_SIDE = 8  # lowest frequencies taken in each direction
_BLOCK = 1024  # hashes compared at a time: bounds the memory


def perceptual_hash(image: np.ndarray) -> int:
    """Returns the signs of the 8 x 8 lowest cosine frequencies of a photograph as 64 bits.

    The mean brightness has no sign that means anything, and its bit is 0.

    Args:
        image: uint8 (H, W, 3) RGB, or (H, W) gray, of any size.

    Returns:
        0 .. 2**63 - 1; bits in row-major order of frequency, the first is the highest.
    """
    thumbnail = cv2.resize(image, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    if thumbnail.ndim == 3:
        thumbnail = cv2.cvtColor(thumbnail, cv2.COLOR_RGB2GRAY)
    frequencies = cv2.dct(thumbnail.astype(np.float32))[:_SIDE, :_SIDE]
    # Rounding leaves a trace in frequencies that a photograph does not have.
    signs = frequencies > 1e-3
    signs[0, 0] = False
    return int.from_bytes(np.packbits(signs).tobytes(), "big")


def hash_distance(a: int, b: int) -> int:
    """Returns the number of bits in which two hashes differ in the best of eight orientations."""
    return int(_distances(_signs([a]), _signs([b]))[0, 0])


def near_duplicate_groups(hashes: Mapping[str, int], max_distance: int) -> list[list[str]]:
    """Groups photographs whose hashes are close, directly or through others.

    Args:
        hashes: Sample id -> :func:`perceptual_hash`.
        max_distance: Largest :func:`hash_distance` of a pair.

    Returns:
        Groups of at least two ids, each sorted, in the order of their first ids.
    """
    ids = sorted(hashes)
    signs = _signs([hashes[i] for i in ids])
    links = []
    for start in range(0, len(ids), _BLOCK):
        # From `start` on: pairs with earlier hashes were compared in their block.
        close = _distances(signs[start : start + _BLOCK], signs[start:]) <= max_distance
        links += [(ids[start + a], ids[start + b]) for a, b in np.argwhere(close) if a < b]
    return [group for group in linked_groups(ids, links) if len(group) > 1]


def _signs(hashes: list[int]) -> NDArray[np.float32]:
    """Returns the bits as -1 and 1, shape (N, 8, 8); the bit of the mean is 0 and never counts."""
    packed = np.frombuffer(b"".join(h.to_bytes(8, "big") for h in hashes), dtype=np.uint8)
    bits = np.unpackbits(packed.reshape(len(hashes), 8), axis=1).astype(np.float32)
    signs = (2 * bits - 1).reshape(-1, _SIDE, _SIDE)
    signs[:, 0, 0] = 0
    return signs


def _distances(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Returns differing bits of all pairs, shape (len(a), len(b)), in their best orientations."""
    odd = np.where(np.arange(_SIDE) % 2, -1, 1).astype(np.float32)
    best = np.full((len(a), len(b)), -np.inf, dtype=np.float32)
    flat = b.reshape(len(b), -1).T
    for turned in (a, a.transpose(0, 2, 1)):
        for rows in (1, odd[:, None]):
            for columns in (1, odd[None, :]):
                variant = (turned * rows * columns).reshape(len(a), -1)
                np.maximum(best, variant @ flat, out=best)
    return (_SIDE * _SIDE - 1 - best) / 2
