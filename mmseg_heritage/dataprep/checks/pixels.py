"""Decoding every image and mask of a data set once, so that training never meets a bad one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.checks.duplicates import perceptual_hash
from mmseg_heritage.dataprep.checks.faults import Fault
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.dataprep.statistics import NUM_CLASSES, class_pixels
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.color import profile_fault
from mmseg_heritage.images.image_files import ImageFault, image_header, image_size
from mmseg_heritage.images.masks import read_mask
from mmseg_heritage.images.photographs import read_image
from mmseg_heritage.utils.progress import Progress
from mmseg_heritage.utils.threads import run_in_threads


def check_sizes(samples: Sequence[Sample]) -> None:
    """Verifies from the file headers that every mask has its image's size.

    Raises:
        InputError: With all masks of another size and all unreadable files.
    """
    problems = []
    for sample in samples:
        try:
            image, mask = image_size(sample.image), image_size(sample.annotation)
            if image != mask:
                problems.append(
                    f"{sample.annotation}: the mask is {mask[0]}x{mask[1]}, "
                    f"its image {image[0]}x{image[1]}"
                )
        except ImageFault as error:
            problems.append(str(error))
    if problems:
        raise InputError("masks must have the size of their images", problems)


def check_pixels(samples: Sequence[Sample], progress: Progress | None = None) -> None:
    """Decodes everything, in threads, and verifies modes, sizes and class ids.

    Args:
        samples: What to read.
        progress: Called with (done, total) after each sample.

    Raises:
        InputError: With the faults of all files.
    """
    found = run_in_threads(lambda s: read_pair(s.image, s.annotation)[2], samples, progress)
    problems = [str(fault) for faults in found for fault in faults]
    if problems:
        raise InputError("the data set has faulty files; fix or remove them", problems)


def read_pair(
    image: Path | None, annotation: Path | None
) -> tuple[np.ndarray | None, np.ndarray | None, list[Fault]]:
    """Decodes a photograph and its mask as training does.

    Args:
        image: File of the photograph, if there is one.
        annotation: File of the mask, if there is one.

    Returns:
        :func:`mmseg_heritage.images.photographs.read_image` and
        :func:`mmseg_heritage.images.masks.read_mask` of them, None where that is not possible, and
        what is wrong.
    """
    pixels = mask = size = None
    faults = []
    if image is not None:
        try:
            pixels = read_image(image)
            size = (pixels.shape[1], pixels.shape[0])
        except ImageFault as error:
            faults.append(_fault(image, error))
    if annotation is not None:
        try:
            mask = read_mask(annotation, size)
        except ImageFault as error:
            faults.append(_fault(annotation, error))
    return pixels, mask, faults


def _fault(path: Path, error: ImageFault) -> Fault:
    message = error.summary.removeprefix(f"{path}: ")
    return Fault(error.kind, path, message, values=error.values)


@dataclass(frozen=True)
class Examined:
    """What :func:`examine` found in one photograph and its mask.

    Attributes:
        faults: What is wrong with them.
        digest: SHA-256 of the decoded pixels and their shape; None without a readable photograph.
        hash: Perceptual hash; None without a readable photograph.
        class_pixels: int64 (17,), as :func:`mmseg_heritage.dataprep.statistics.class_pixels`; None
            without a sound mask.
    """

    faults: tuple[Fault, ...]
    digest: str | None = None
    hash: int | None = None
    class_pixels: NDArray[np.int64] | None = None


def examine(image: Path | None, annotation: Path | None) -> Examined:
    """Decodes a photograph and its mask, and computes what data sets are compared by.

    Args:
        image: File of the photograph, if there is one.
        annotation: File of the mask, if there is one.
    """
    pixels, mask, faults = read_pair(image, annotation)
    digest = phash = counts = None
    if image is not None and pixels is not None:
        digest = _digest(pixels)
        phash = perceptual_hash(pixels)
        header = image_header(image)
        if unused := profile_fault(header.mode, header.profile):
            faults.append(Fault("colour profile", image, f"{unused}; its numbers are read as sRGB"))
    if annotation is not None and mask is not None:
        counts = class_pixels(mask)
        if not counts[:NUM_CLASSES].any():
            faults.append(Fault("no label", annotation, "every pixel is 255, outside the object"))
    return Examined(tuple(faults), digest, phash, counts)


def _digest(pixels: np.ndarray) -> str:
    digest = hashlib.sha256(repr(pixels.shape).encode())
    digest.update(pixels.data)
    return digest.hexdigest()
