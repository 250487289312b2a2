"""How far a score would move on other objects of the same kind: intervals by bootstrap.

The photographs of one object, its copies and near-duplicates succeed or fail together, and so do
the pixels of one photograph. What is independent is the source group, so groups are what is drawn:
as many as there are, with replacement, with all their images (the cluster bootstrap; Davison and
Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8). Each resample pools its
counts and computes the score, and the interval lies between percentiles of these scores (Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). Drawing pixels, or the images
of a group apart, gives intervals that are far too narrow; the tests show it.

It says nothing about training again: the spread over seeds is another one, and is stated apart.

Needs numpy only. A typical use::

    resamples = resample_groups(counts.groups)
    scores = class_scores(resamples.totals(counts.confusion))  # of 2,000 resamples at once
    resamples.interval(mean_over_present(scores["iou"])[0])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
LEVEL = 95
MIN_GROUPS = 10
"""A score that rests on fewer groups has no interval, because it would promise too much.

Simulated for a class that k of 63 groups have, with log-normal sizes and very uneven recall: what
is meant to cover 95 % covers about 75 % for k = 3, 88 % for 5, 90 % for 10, 92 % for 30 or more.
"""
UNIT = "source group"
DEFINITIONS = {
    "interval": f"between percentiles 2.5 and 97.5 of the score over resamples of source groups, "
    f"drawn with replacement, with all their images ({LEVEL} %)",
    "resamples": "those in which the score is defined; a class absent from a resample is left out "
    "of that resample's mean. So a mean over all classes rises where a rare and badly found class "
    "is not drawn, and its interval lies higher than the score; one over classes with enough "
    "support does not",
    "groups": "source groups that the score rests on; for a class, those that have true pixels of "
    f"it. With fewer than {MIN_GROUPS} there is no interval",
}


@dataclass(frozen=True, eq=False)
class Resamples:
    """How often each source group was drawn, in each of R resamples of G groups.

    Attributes:
        group_of: int64 (N,), index in 0..G-1 of the group of each image.
        drawn: int64 (R, G); each row sums to G.
        seed: What :func:`resample_groups` drew them with.
    """

    group_of: np.ndarray
    drawn: np.ndarray
    seed: int

    def totals(self, per_image: np.ndarray) -> np.ndarray:
        """Adds up what was counted on the images of each resample.

        The sums of whole numbers are exact up to 2**53, more pixels than any test set has.

        Args:
            per_image: Numbers or bools (N, ...).

        Returns:
            float64 (R, ...).
        """
        flat = np.asarray(per_image, dtype=np.float64).reshape(len(self.group_of), -1)
        of_group = np.zeros((self.drawn.shape[1], flat.shape[1]))
        np.add.at(of_group, self.group_of, flat)
        totals = self.drawn.astype(np.float64) @ of_group
        return totals.reshape(len(totals), *np.shape(per_image)[1:])

    def weights(self) -> np.ndarray:
        """Returns how often each image is in each resample, int64 (R, N)."""
        return self.drawn[:, self.group_of]

    def number_of_groups(self, images: np.ndarray | None = None) -> int:
        """Returns how many groups some images are from.

        Args:
            images: One bool for each image; all images if None.
        """
        return len(np.unique(self.group_of if images is None else self.group_of[images]))

    def interval(self, scores: np.ndarray, images: np.ndarray | None = None) -> dict[str, Any]:
        """Takes the interval of a score from its values in the resamples.

        Args:
            scores: float64 (R,), NaN in resamples that have no such score.
            images: One bool for each image: those that the score rests on, such as the images that
                have a class; all images if None.

        Returns:
            'low' and 'high' in the unit of the scores, or None for both, with the reason as 'note';
            'level' (percent), 'resamples' (those that have the score), 'groups', 'unit', 'seed'.
        """
        groups = self.number_of_groups(images)
        low, high = percentiles(scores) if groups >= MIN_GROUPS else (None, None)
        found = {
            "low": low,
            "high": high,
            "level": LEVEL,
            "resamples": int((~np.isnan(scores)).sum()),
            "groups": groups,
            "unit": UNIT,
            "seed": self.seed,
        }
        if groups < MIN_GROUPS:
            found["note"] = f"no interval: {groups} source groups, fewer than {MIN_GROUPS}"
        elif low is None:
            found["note"] = "no interval: undefined in every resample"
        return found


def resample_groups(groups: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> Resamples:
    """Draws source groups with replacement, as many as there are.

    The draws depend on the sorted names of the groups, the number and the seed alone, so that runs
    that were tested on the same images get the same ones.

    Args:
        groups: Name of the group of each image.
        resamples: Number R of resamples.
        seed: Of the draws.

    Raises:
        ValueError: If there is no image or no resample.
    """
    if not len(groups) or resamples < 1:
        raise ValueError(f"expected images and resamples, found {len(groups)} and {resamples}")
    names, group_of = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    shares = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(seed).multinomial(len(names), shares, size=resamples)
    return Resamples(group_of.reshape(-1), drawn, seed)


def percentiles(scores: np.ndarray) -> tuple[float | None, float | None]:
    """Returns the ends of the middle :data:`LEVEL` percent of scores; NaN is left out.

    Args:
        scores: float64 (R,).

    Returns:
        Both None where no score is defined.
    """
    defined = scores[~np.isnan(scores)]
    if not defined.size:
        return None, None
    tail = (1 - LEVEL / 100) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    return float(low), float(high)
