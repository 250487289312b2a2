"""From the scores of a decoder to probabilities that can be averaged, and to maps."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mmseg_heritage.taxonomy import FINE_LEVEL, Level


def largest(values: Tensor) -> Tensor:
    """Returns the channel with the largest value, uint8 (...), of values (C, ...), C below 256.

    The first one of equal ones, as argmax; on a CPU in a fifth of its time.
    """
    best, ids = values[0].clone(), torch.zeros_like(values[0], dtype=torch.uint8)
    for channel in range(1, len(values)):
        ids.masked_fill_(values[channel] > best, channel)
        torch.maximum(best, values[channel], out=best)
    return ids


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
        head: Decode head with ``num_classes`` and ``out_channels``.

    Attributes:
        channels: 'fine' and each level's name -> channels.
        levels: Name of each level above the classes -> its groups; empty for a head without levels.
    """

    def __init__(self, head: nn.Module) -> None:
        self._hierarchy = getattr(head, "scores", None)
        self.levels: dict[str, Level] = {}
        self.channels = {FINE_LEVEL: slice(None)}
        self._threshold: float | None = None
        self._limit = 0.0  # the log-odds of the threshold
        if self._hierarchy is not None:
            self.levels, self.channels = self._hierarchy.levels, self._hierarchy.slices
        elif getattr(head, "out_channels", 2) == 1:
            self._threshold = float(head.threshold)
            self._limit = math.log(self._threshold / (1 - self._threshold))

    def probabilities(self, scores: Tensor) -> Tensor:
        """Returns (N, P, ...) float32 probabilities of the scores (N, K, ...) of the head."""
        scores = scores.float()
        if self._threshold is not None:
            return torch.cat([(-scores).sigmoid(), scores.sigmoid()], dim=1)
        if self._hierarchy is None:
            return scores.softmax(dim=1)
        by_level = self._hierarchy.probabilities(scores)
        return torch.cat([by_level[name] for name in self.channels], dim=1)

    def logs(self, probabilities: Tensor) -> Tensor:
        """Returns logarithms of probabilities (P, ...), of which the largest is chosen.

        Of a head with one channel, the threshold decides which is the larger one.
        """
        logs = probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log_()
        logs[0] += self._limit
        return logs

    def normalized(self, logs: Tensor) -> Tensor:
        """Returns the probabilities (P, ...) of interpolated logarithms (P, ...)."""
        if self._threshold is not None:
            one = self._probability_of_one(logs)
            return torch.cat([1 - one, one])
        return torch.cat(
            [
                logs[channels].exp() if self._is_partial(name) else logs[channels].softmax(dim=0)
                for name, channels in self.channels.items()
            ]
        )

    def _probability_of_one(self, logs: Tensor) -> Tensor:
        """Returns the probability (1, ...) of class 1 of a head with one channel."""
        return (logs[1:] - logs[:1] + self._limit).sigmoid()

    def _is_partial(self, level: str) -> bool:
        """Whether the probabilities of a level's groups add up to less than 1."""
        hierarchy = self._hierarchy
        return (
            hierarchy is not None
            and hierarchy.mode != "independent"
            and hierarchy.is_partial(level)
        )

    def class_logits(self, logs: Tensor) -> Tensor:
        """Returns what mmsegmentation's samples hold as ``seg_logits``.

        These are the logits (C, ...) of the classes; of a head with one channel its probability.
        """
        if self._threshold is not None:
            return self._probability_of_one(logs)
        return logs[self.channels[FINE_LEVEL]]

    def maps(self, logs: Tensor) -> dict[str, Tensor]:
        """Chooses the class and the group of each pixel.

        Args:
            logs: (P, H, W), interpolated.

        Returns:
            'fine' and each level's name -> uint8 (H, W), 255 where a level does not apply.
        """
        return self.restricted({name: largest(logs[c]) for name, c in self.channels.items()})

    def restricted(self, ids: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns maps of all levels with 255 where a level does not apply."""
        return ids if self._hierarchy is None else self._hierarchy.restricted(ids)

    def confidence(self, logs: Tensor, ids: Tensor) -> Tensor:
        """Returns the probability of the chosen classes in steps of 1/255, uint8 (H, W).

        Args:
            logs: As for :meth:`maps`.
            ids: Map of the classes, uint8 (H, W).
        """
        logits = self.class_logits(logs)
        if self._threshold is not None:
            chosen = torch.where(ids == 1, logits[0], 1 - logits[0])
        else:
            chosen = logits.gather(0, ids[None].long())[0].sub_(logits.logsumexp(dim=0)).exp_()
        return chosen.mul_(255).round_().clamp_(0, 255).to(torch.uint8)
