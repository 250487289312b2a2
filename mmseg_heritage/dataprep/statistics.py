"""Counting the pixels of each class in masks: what splits are balanced by and weights made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.checks.duplicates import perceptual_hash
from mmseg_heritage.dataprep.checks.pixels import Examined
from mmseg_heritage.dataprep.checks.verified import VerifiedFiles
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.images.masks import class_pixels, read_mask
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.taxonomy import IGNORE_INDEX, Level
from mmseg_heritage.utils.progress import Progress
from mmseg_heritage.utils.threads import run_in_threads


def sample_pixels(
    samples: Sequence[Sample],
    progress: Progress | None = None,
    verified: VerifiedFiles | None = None,
) -> dict[str, NDArray[np.int64]]:
    """Counts the pixels of each class in the masks of samples, reading them in threads.

    Args:
        samples: What to count.
        progress: Called with (done, total) after each sample.
        verified: Record of the check of the data set: what it vouches for is not read again.

    Returns:
        Sample id -> :func:`mmseg_heritage.images.masks.class_pixels`.

    Raises:
        InputError: With all masks that cannot be read.
    """

    def count(sample: Sample) -> NDArray[np.int64]:
        known = _known(sample, verified)
        if known is not None and known.class_pixels is not None:
            return known.class_pixels
        return class_pixels(read_mask(sample.annotation, classes=sample.classes), sample.classes)

    counts = run_in_threads(count, samples, progress)
    return {s.id: pixels for s, pixels in zip(samples, counts, strict=True)}


def sample_hashes(
    samples: Sequence[Sample],
    progress: Progress | None = None,
    verified: VerifiedFiles | None = None,
) -> dict[str, int]:
    """Computes the perceptual hashes of photographs, reading them in threads.

    Args:
        samples: What to read.
        progress: Called with (done, total) after each sample.
        verified: See :func:`sample_pixels`.

    Returns:
        Sample id -> :func:`mmseg_heritage.dataprep.checks.duplicates.perceptual_hash`.

    Raises:
        InputError: With all photographs that cannot be read.
    """

    def hash_of(sample: Sample) -> int:
        known = _known(sample, verified)
        if known is not None and known.hash is not None:
            return known.hash
        return perceptual_hash(read_image(sample.image))

    hashes = run_in_threads(hash_of, samples, progress)
    return {sample.id: value for sample, value in zip(samples, hashes, strict=True)}


def _known(sample: Sample, verified: VerifiedFiles | None) -> Examined | None:
    """Returns what a check found in a sample's files, if it vouches for them as they are."""
    return None if verified is None else verified.find(sample.image, sample.annotation)


def present_classes(pixels: Mapping[str, NDArray[np.int64]]) -> dict[str, list[int]]:
    """Returns sample id -> positions of the classes with at least one pixel, without 255."""
    return {i: np.flatnonzero(counts[:-1]).tolist() for i, counts in pixels.items()}


def group_pixels(counts: NDArray[np.int64], level: Level) -> NDArray[np.int64]:
    """Sums the counts of classes into those of a level's groups.

    Args:
        counts: int64 (..., classes + 1), as
            :func:`mmseg_heritage.images.masks.class_pixels` returns them.
        level: A level of these classes.

    Returns:
        int64 (..., groups); classes in no group, and 255, are left out.
    """
    groups = np.zeros((*counts.shape[:-1], len(level.classes)), dtype=np.int64)
    for position, group in enumerate(level.fine_to_group):
        if group != IGNORE_INDEX:
            groups[..., group] += counts[..., position]
    return groups
