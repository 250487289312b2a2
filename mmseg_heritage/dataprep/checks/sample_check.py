"""What is verified of samples before training or testing, so that neither meets a bad file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.dataprep.checks.faults import KINDS
from mmseg_heritage.dataprep.checks.pixels import Examined
from mmseg_heritage.dataprep.checks.verified import VerifiedFiles
from mmseg_heritage.dataprep.layout import Sample
from mmseg_heritage.errors import InputError
from mmseg_heritage.images.image_files import ImageFault
from mmseg_heritage.images.known_sizes import known_size
from mmseg_heritage.utils.progress import Progress
from mmseg_heritage.utils.threads import run_in_threads


def check_sizes(samples: Sequence[Sample], verified: VerifiedFiles) -> None:
    """Verifies from the file headers that every mask has its image's size.

    Args:
        samples: What to verify.
        verified: Files whose headers need not be read.

    Raises:
        InputError: With all masks of another size and all unreadable files.
    """
    problems = []
    for sample in samples:
        if verified.find(sample.image, sample.annotation) is not None:
            continue
        try:
            image, mask = known_size(sample.image), known_size(sample.annotation)
            if image != mask:
                problems.append(
                    f"{sample.annotation}: the mask is {mask[0]}x{mask[1]}, "
                    f"its image {image[0]}x{image[1]}"
                )
        except ImageFault as error:
            problems.append(str(error))
    if problems:
        raise InputError("masks must have the size of their images", problems)


def check_pixels(
    work: Sequence[tuple[VerifiedFiles, Sample]], progress: Progress | None = None
) -> dict[Path, NDArray[np.int64]]:
    """Verifies modes, sizes and class ids, decoding in threads what nobody has verified yet.

    Args:
        work: Samples, each with the record of the data set it is of.
        progress: Called with (done, total) after each sample.

    Returns:
        Mask -> its pixels of each class, see
        :func:`mmseg_heritage.images.masks.class_pixels`.

    Raises:
        InputError: With the faults of all files.
    """

    def examine(item: tuple[VerifiedFiles, Sample]) -> Examined:
        verified, sample = item
        return verified.examine(sample.image, sample.annotation)

    examined = run_in_threads(examine, work, progress)
    problems = [
        str(fault)
        for found in examined
        for fault in found.faults
        if not KINDS[fault.kind].is_warning
    ]
    for verified in {id(verified): verified for verified, _ in work}.values():
        verified.save()
    if problems:
        raise InputError("the data set has faulty files; fix or remove them", problems)
    return {
        sample.annotation: found.class_pixels
        for (_, sample), found in zip(work, examined, strict=True)
        if found.class_pixels is not None
    }
