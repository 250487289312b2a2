"""Whether a photograph looks like those that a model was trained on, by the features it sees in it.

Lee, Lee, Lee and Shin, "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
Adversarial Attacks", NeurIPS 2018: the Mahalanobis distance to the features of training images.
Here it is that of whole photographs. Needs numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmseg_heritage.errors import InputError

FEW = 5
"""Training images from which on their features say anything."""
FALSE_ALARMS = 0.05
"""Share of photographs like the held-out ones that are to be flagged."""
_MOST_FEATURES = 8192


@dataclass(frozen=True)
class Unlikeness:
    """How far the features of a photograph are from those of the training images.

    Attributes:
        distance: In multiples of the distance from which on a photograph is flagged.
        false_alarm_rate: See :class:`TrainingFeatures`.
    """

    distance: float
    false_alarm_rate: float

    @property
    def is_unlike(self) -> bool:
        """Whether the photograph is unlike anything that the model was trained on."""
        return self.distance > 1

    def content(self) -> dict[str, Any]:
        """Returns what JSON files hold."""
        return {
            "is_unlike": self.is_unlike,
            "distance": round(self.distance, 4),
            "false_alarm_rate": round(self.false_alarm_rate, 4),
        }


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """Features of training images, as their mean and their spread.

    Attributes:
        mean: float64 (D,).
        precision: Inverse of their covariance, float64 (D, D).
        threshold: Distance from which on a photograph is flagged.
        false_alarm_rate: Share of photographs like the held-out images that are flagged, as it is
            to be expected, 0 to 1.
        images: Number of training images.
        held_out: Number of held-out images by which the threshold was set.
    """

    mean: NDArray[np.float64]
    precision: NDArray[np.float64]
    threshold: float
    false_alarm_rate: float
    images: int
    held_out: int

    def unlikeness(self, features: np.ndarray) -> Unlikeness:
        """Measures a photograph by its features (D,)."""
        found = distances(self.mean, self.precision, features[None])[0]
        return Unlikeness(float(found / self.threshold), self.false_alarm_rate)

    def content(self) -> dict[str, Any]:
        """Returns what a checkpoint holds: arrays and numbers."""
        return {**vars(self), "mean": self.mean.copy(), "precision": self.precision.copy()}


def distances(mean: np.ndarray, precision: np.ndarray, features: np.ndarray) -> NDArray[np.float64]:
    """Returns Mahalanobis distances: the roots of (f - mean) precision (f - mean), float64 (N,).

    Args:
        mean: (D,).
        precision: (D, D).
        features: (N, D).
    """
    apart = features.astype(np.float64) - mean
    squares = np.einsum("ni,ij,nj->n", apart, precision, apart, optimize=True)
    return np.sqrt(np.maximum(squares, 0))


def shrunk_covariance(features: np.ndarray) -> NDArray[np.float64]:
    """Returns a covariance that has an inverse also where there are fewer images than features.

    With the covariance S of N features in D dimensions and m its mean variance: (1 - r) S + r m I,
    with the r that brings it nearest to the true one (Ledoit and Wolf, "A well-conditioned
    estimator for large-dimensional covariance matrices", Journal of Multivariate Analysis 88,
    2004).

    Args:
        features: (N, D), N from 2.
    """
    apart = features - features.mean(axis=0)
    number, size = apart.shape
    covariance = apart.T @ apart / number
    variance = np.trace(covariance) / size
    spread = (covariance**2).sum() - size * variance**2
    noise = ((apart**2).sum(axis=1) ** 2).mean() - (covariance**2).sum()
    share = min(noise / number / spread, 1.0) if spread > 0 else 1.0
    return (1 - share) * covariance + share * variance * np.eye(size)


def training_features(
    training: np.ndarray, held_out: np.ndarray, false_alarms: float = FALSE_ALARMS
) -> TrainingFeatures:
    """Returns what tells photographs from those that a model was trained on.

    The threshold is the k-th smallest of the n distances of held-out images, with k the whole
    number from (n + 1)(1 - false_alarms) on, or n: of photographs drawn as these were, (n + 1 - k)
    / (n + 1) are farther away (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random
    World", 2005).

    Args:
        training: Features of training images, (N, D).
        held_out: Features of images that were not trained on, (n, D), n from 1.
        false_alarms: Share of these that is to be flagged, 0 to 1.

    Raises:
        InputError: If there are fewer than :data:`FEW` training images.
    """
    if len(training) < FEW:
        raise InputError(
            f"{len(training)} training images; their features say something from {FEW} on"
        )
    training = training.astype(np.float64)
    mean, deviation = training.mean(axis=0), training.std(axis=0)
    # A channel that is alike in all training images would make every other value infinitely far.
    deviation = np.maximum(deviation, 1e-3 * np.median(deviation) + 1e-6)
    inverse = np.linalg.inv(shrunk_covariance((training - mean) / deviation))
    precision = inverse / np.outer(deviation, deviation)
    found = np.sort(distances(mean, precision, held_out))
    number = len(found)
    rank = min(math.ceil((number + 1) * (1 - false_alarms)), number)
    rate = (number + 1 - rank) / (number + 1)
    return TrainingFeatures(
        mean, precision, max(float(found[rank - 1]), 1e-9), rate, len(training), number
    )


def read_training_features(content: Any, origin: str) -> TrainingFeatures | None:
    """Reads what a checkpoint holds, which may come from anyone; None where it holds nothing.

    Args:
        content: See :meth:`TrainingFeatures.content`; arrays may be anything that numpy takes.
        origin: Where it was read from, for the message.

    Raises:
        InputError: If it is something else.
    """
    if content is None:
        return None
    try:
        mean, precision = (
            np.asarray(content[name], dtype=np.float64) for name in ("mean", "precision")
        )
        threshold, rate = float(content["threshold"]), float(content["false_alarm_rate"])
        size = len(mean)
        fits = mean.shape == (size,) and precision.shape == (size, size) and size <= _MOST_FEATURES
        fits = fits and bool(np.isfinite(mean).all() and np.isfinite(precision).all())
        if not (fits and 0 < threshold < math.inf and 0 <= rate <= 1):
            raise ValueError("numbers that cannot be")
        images, held_out = int(content["images"]), int(content["held_out"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{origin}: what it says of its training images cannot be read ({error}); make it "
            "again with mmseg-heritage calibrate"
        ) from error
    return TrainingFeatures(mean, precision, threshold, rate, images, held_out)


def of_checkpoint(content: Any) -> Mapping[str, Any] | None:
    """Returns the part of a checkpoint that holds training features; None without one."""
    found = content.get(KEY) if isinstance(content, Mapping) else None
    return found if found is None or isinstance(found, Mapping) else {}


KEY = "training_features"
"""Where a checkpoint keeps :meth:`TrainingFeatures.content`, arrays as tensors."""
