"""From the scores of a decoder to probabilities that can be averaged, and to maps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmseg_heritage.scores import arrays
from mmseg_heritage.scores.arrays import Array
from mmseg_heritage.scores.class_calibration import ClassCalibration
from mmseg_heritage.taxonomy import FINE_LEVEL, Level


class HeadScores:
    """Reads the scores of one decode head of mmsegmentation.

    Views of an image (overlapping windows, scales, mirror images) are averaged as probabilities.
    Between the cells of a feature map, their logarithms are interpolated: for one view that chooses
    the classes which interpolated scores choose, as in training, since a softmax subtracts the same
    number from the scores of all classes. Where the training does more than a softmax, at the
    levels of the modes 'marginal' and 'conditional' of a hierarchical head, the two differ a little
    between cells.

    The channels are the classes; after them, for a head with an attribute ``scores`` (see
    :class:`mmseg_heritage.models.decode_heads.HierarchicalUPerHead`), the groups of each level. A
    head of one channel has two: the probability of its class, 1, after that of the other.

    Args:
        head: Decode head with ``num_classes`` and ``out_channels``, or what has its attributes;
            with an attribute ``calibration``, the probabilities of the classes are calibrated by
            it.

    Attributes:
        moves_classes: Whether the calibration can change which class is the most probable.
        channels: 'fine' and each level's name -> channels.
        levels: Name of each level above the classes -> its groups; empty for a head without levels.
    """

    def __init__(self, head: Any) -> None:
        self._hierarchy = getattr(head, "scores", None)
        self.levels: dict[str, Level] = {}
        self.channels = {FINE_LEVEL: slice(None)}
        self._threshold: float | None = None
        self._limit = 0.0  # the log-odds of the threshold
        self._calibration: ClassCalibration | None = getattr(head, "calibration", None)
        self.moves_classes = self._calibration is not None and not self._calibration.keeps_classes
        if self._hierarchy is not None:
            self.levels, self.channels = self._hierarchy.levels, self._hierarchy.slices
        elif getattr(head, "out_channels", 2) == 1:
            self._threshold = float(head.threshold)
            self._limit = math.log(self._threshold / (1 - self._threshold))

    def probabilities(self, scores: Any) -> Any:
        """Returns (N, P, ...) float32 probabilities of the head's scores (N, K, ...), tensors."""
        # In this order torch takes half the time for the softmax of large maps, copy included.
        scores = scores.float().contiguous()
        if self._threshold is not None:
            return arrays.concat([(-scores).sigmoid(), scores.sigmoid()], 1)
        if self._hierarchy is None:
            return scores.softmax(dim=1)
        by_level = self._hierarchy.probabilities(scores)
        return arrays.concat([by_level[name] for name in self.channels], 1)

    def logs(self, probabilities: Array) -> Any:
        """Returns logarithms of probabilities (P, ...), of which the largest is chosen.

        Of a head with one channel, the threshold decides which is the larger one.
        """
        logs = arrays.log_of_positive(probabilities)
        logs[0] += self._limit
        return logs

    def normalized(self, logs: Array) -> Any:
        """Returns the probabilities (P, ...) of interpolated logarithms (P, ...)."""
        if self._threshold is not None:
            one = self._probability_of_one(logs)
            return arrays.concat([1 - one, one])
        return arrays.concat(
            [
                arrays.exp(logs[channels])
                if self._is_partial(name)
                else arrays.softmax(logs[channels], 0)
                for name, channels in self.channels.items()
            ]
        )

    def _probability_of_one(self, logs: Array) -> Any:
        """Returns the probability (1, ...) of class 1 of a head with one channel."""
        return arrays.sigmoid(logs[1:] - logs[:1] + self._limit)

    def _is_partial(self, level: str) -> bool:
        """Whether the probabilities of a level's groups add up to less than 1."""
        hierarchy = self._hierarchy
        return (
            hierarchy is not None
            and hierarchy.mode != "independent"
            and hierarchy.is_partial(level)
        )

    def calibrated(self, logs: Array) -> Any:
        """Returns logarithms (P, ...) in which those of the classes are calibrated.

        Groups of levels above the classes keep theirs. Without a calibration it is ``logs``.

        Args:
            logs: As for :meth:`maps`.
        """
        if self._calibration is None:
            return logs
        classes = self.channels[FINE_LEVEL]
        if self._threshold is None:
            logs = arrays.copied(logs)
            logs[classes] = self._calibration(logs[classes])
            return logs
        both = np.array([self._limit, 0.0], np.float32).reshape(2, *(1 for _ in logs.shape[1:]))
        limit = arrays.like(both, logs)
        return self._calibration(logs - limit) + limit

    def class_logs(self, logs: Array) -> Any:
        """Returns the logarithms of the probabilities of the classes, (C, ...); never calibrated.

        Args:
            logs: As for :meth:`maps`.
        """
        if self._threshold is None:
            return arrays.log_softmax(logs[self.channels[FINE_LEVEL]], 0)
        return arrays.log_softmax(arrays.concat([logs[:1] - self._limit, logs[1:]]), 0)

    def class_logits(self, logs: Array) -> Any:
        """Returns what mmsegmentation's samples hold as ``seg_logits``.

        These are the logits (C, ...) of the classes; of a head with one channel its probability.
        """
        if self._threshold is not None:
            return self._probability_of_one(logs)
        return logs[self.channels[FINE_LEVEL]]

    def maps(self, logs: Array) -> dict[str, Any]:
        """Chooses the class and the group of each pixel.

        Args:
            logs: (P, H, W), interpolated.

        Returns:
            'fine' and each level's name -> uint8 (H, W), 255 where a level does not apply.
        """
        return self.restricted({name: arrays.largest(logs[c]) for name, c in self.channels.items()})

    def restricted(self, ids: dict[str, Any]) -> dict[str, Any]:
        """Returns maps of all levels with 255 where a level does not apply."""
        return ids if self._hierarchy is None else self._hierarchy.restricted(ids)

    def confidence(self, logs: Array, ids: Array) -> Any:
        """Returns the probability of the chosen classes in steps of 1/255, uint8 (H, W).

        Args:
            logs: As for :meth:`maps`.
            ids: Map of the classes, uint8 (H, W).
        """
        logits = self.class_logits(logs)
        if self._threshold is not None:
            chosen = arrays.where(ids == 1, logits[0], 1 - logits[0])
        else:
            chosen = arrays.softmax_of_chosen(logits, ids)
        return arrays.as_bytes(chosen)
