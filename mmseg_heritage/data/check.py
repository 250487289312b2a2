"""Decoding every image and mask of a data set once, so that training never meets a bad one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from mmseg_heritage.data.folder import Sample
from mmseg_heritage.data.images import image_size, read_image, read_mask
from mmseg_heritage.errors import InputError


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
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("masks must have the size of their images", problems)


def check_pixels(
    samples: Sequence[Sample], progress: Callable[[int, int], None] | None = None
) -> None:
    """Decodes everything, in threads, and verifies modes, sizes and class ids.

    Args:
        samples: What to read.
        progress: Called with (done, total) after each sample.

    Raises:
        InputError: With the faults of all files.
    """
    problems: list[str] = []
    # Pillow lets go of the GIL while decoding; more threads than cores only cost memory.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for done, faults in enumerate(pool.map(_faults, samples), start=1):
            problems += faults
            if progress is not None:
                progress(done, len(samples))
    if problems:
        raise InputError("the data set has faulty files; mend or remove them", problems)


def _faults(sample: Sample) -> list[str]:
    """Returns what is wrong with the two files of one sample."""
    faults = []
    size = None
    try:
        pixels = read_image(sample.image)
        size = (pixels.shape[1], pixels.shape[0])
    except InputError as error:
        faults.append(str(error))
    try:
        read_mask(sample.annotation, size)
    except InputError as error:
        faults.append(str(error))
    return faults
