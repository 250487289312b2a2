"""Which images are shown: by a rule, so that pictures are neither picked nor flattering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmseg_heritage.evaluation.means import image_scores
from mmseg_heritage.evaluation.store import Counts

WORST = 3
_RANKS = ("", "2nd ", "3rd ")
SAMPLE_RULE = (
    "Chosen by rule: for each class the image with most of its true pixels, "
    f"and the {WORST} images of the lowest image mIoU."
)
CLASS_RULE = (
    "Chosen by rule: the images with most found, most missed and most falsely found pixels of it."
)


@dataclass(frozen=True)
class Choice:
    """An image to show.

    Attributes:
        id: Sample id.
        reason: Why it is shown.
    """

    id: str
    reason: str


def choose_samples(counts: Counts) -> list[Choice]:
    """Chooses images that show every class, and the failures: see :data:`SAMPLE_RULE`.

    Args:
        counts: Counts of a test.

    Returns:
        Each image once, in the order of the classes, the worst last; of equal ones the first id.
    """
    reasons: dict[str, list[str]] = {}
    true = counts.confusion.sum(axis=2)
    for index, name in enumerate(counts.classes):
        if true[:, index].any():
            reasons.setdefault(counts.ids[int(true[:, index].argmax())], []).append(name)
    chosen = {image: f"most {', '.join(names)}" for image, names in reasons.items()}
    scores = image_scores(counts.confusion)
    order = [int(i) for i in np.argsort(scores, kind="stable") if not np.isnan(scores[i])]
    for rank, place in enumerate(order[:WORST]):
        image = counts.ids[place]
        reason = f"{_RANKS[rank]}lowest image mIoU"
        chosen[image] = f"{chosen[image]}; {reason}" if image in chosen else reason
    return [Choice(image, reason) for image, reason in chosen.items()]


def choose_of_class(counts: Counts, index: int) -> list[Choice]:
    """Chooses images that show what becomes of one class: see :data:`CLASS_RULE`.

    Args:
        counts: Counts of a test.
        index: Id of the class.

    Returns:
        Each image once; none for a class that neither truth nor prediction has.
    """
    found = counts.confusion[:, index, index]
    missed = counts.confusion[:, index].sum(axis=1) - found
    false = counts.confusion[:, :, index].sum(axis=1) - found
    reasons: dict[str, list[str]] = {}
    for text, pixels in (("found", found), ("missed", missed), ("false", false)):
        if pixels.any():
            reasons.setdefault(counts.ids[int(pixels.argmax())], []).append(text)
    return [Choice(image, f"most {' and '.join(texts)}") for image, texts in reasons.items()]
