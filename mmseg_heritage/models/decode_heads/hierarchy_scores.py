"""From the scores of the classifiers to the logits, probabilities and maps of every level."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmseg_heritage.hierarchy import parents
from mmseg_heritage.scores.level_channels import LevelChannels
from mmseg_heritage.taxonomy import FINE_LEVEL, Level


class HierarchyScores(LevelChannels, nn.Module):
    r"""Turns raw scores into log-probabilities of every level of a tree of classes.

    The channels of the scores are the classes, followed by the groups of each level in order; in
    the mode 'marginal' they are the classes alone. With class scores s and group scores z:

    - ``'independent'``: every level is a softmax over its own channels.
    - ``'marginal'``: :math:`p(c) = \mathrm{softmax}(s)_c` and :math:`p(g) = \sum_{c \in g} p(c)`,
      by the law of total probability.
    - ``'conditional'``: every class and group is drawn among its siblings,
      :math:`p(n) = p(\mathrm{parent}(n)) \, \mathrm{softmax}_{\mathrm{siblings}}(z)_n`, the
      product along the path from the root (Redmon and Farhadi, YOLO9000, CVPR 2017, section 4).

    In the last two, probabilities of different levels agree. Maps choose the most probable at each
    level, and that need not be one branch: Damage can be likelier than Clean where Clean is
    likelier than any single class of damage.

    Args:
        levels: Level name -> level, from the coarsest, as
            :func:`mmseg_heritage.hierarchy.read_levels` returns them.
        num_classes: Number of classes C.
        mode: One of :data:`MODES`.
    """

    def __init__(self, levels: Mapping[str, Level], num_classes: int, mode: str) -> None:
        nn.Module.__init__(self)
        LevelChannels.__init__(self, levels, num_classes, mode)
        for name, level in self.levels.items():
            # Labels that are no class stay as they are, for the losses to find.
            self.register_buffer(f"_labels_{name}", torch.tensor(level.lookup()), persistent=False)
        self._siblings = self._find_siblings(num_classes) if mode == "conditional" else []

    def _find_siblings(self, num_classes: int) -> list[tuple[int | None, list[int]]]:
        """Returns (channel of the parent or None, channels of its children), parents first."""
        above = parents(self.levels, num_classes)
        order = [*self.levels, FINE_LEVEL]
        children: dict[int | None, list[int]] = {}
        for name in order:
            for position, parent in enumerate(above[name]):
                channel = None if parent is None else self.slices[parent[0]].start + parent[1]
                children.setdefault(channel, []).append(self.slices[name].start + position)
        # A dict keeps the order in which parents were met, which is from the root downwards, since
        # every level's nodes were entered as children before any level below asks for them.
        return list(children.items())

    def labels(self, labels: Tensor, level: str) -> Tensor:
        """Maps class labels (any shape, 0..C-1 or 255) to a level's groups; the input stays."""
        if level == FINE_LEVEL:
            return labels
        table: Tensor = getattr(self, f"_labels_{level}")
        return table[labels.long()]

    def logits(self, scores: Tensor) -> dict[str, Tensor]:
        """Returns the logits of every level, ready for losses that apply a softmax.

        In the modes 'marginal' and 'conditional' they are log-probabilities. At a level that leaves
        classes out, their softmax is the probability given that the pixel belongs to the level,
        which is what its loss, computed on those pixels alone, is about.

        Args:
            scores: (N, K, ...) with K = :attr:`num_scores`; any floating point type.

        Returns:
            Level name -> float32 (float64 for float64) of shape (N, groups, ...); "fine" with C
            channels comes last.
        """
        scores = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        if self.mode == "conditional":
            scores = self._path_log_probabilities(scores)
        elif self.mode == "marginal":
            return self._marginals(scores.log_softmax(dim=1))
        return {name: scores[:, self.slices[name]] for name in (*self.levels, FINE_LEVEL)}

    def _marginals(self, log_probs: Tensor) -> dict[str, Tensor]:
        """Adds class probabilities up over the groups of every level, as logarithms."""
        found = {}
        for name, level in self.levels.items():
            groups = [
                [i for i, g in enumerate(level.fine_to_group) if g == group]
                for group in range(len(level.classes))
            ]
            found[name] = torch.stack([log_probs[:, ids].logsumexp(dim=1) for ids in groups], dim=1)
        return {**found, FINE_LEVEL: log_probs}

    def _path_log_probabilities(self, scores: Tensor) -> Tensor:
        """Returns, for each channel, the logarithm of the product along the path from the root."""
        columns: list[Tensor | None] = [None] * self.num_scores
        for parent, channels in self._siblings:
            among_siblings = scores[:, channels].log_softmax(dim=1)
            if parent is not None:
                above = columns[parent]
                if above is None:  # unreachable: parents come first
                    raise RuntimeError("a node comes before its parent")
                among_siblings = among_siblings + above[:, None]
            for position, channel in enumerate(channels):
                columns[channel] = among_siblings[:, position]
        return torch.stack([column for column in columns if column is not None], dim=1)

    def probabilities(self, scores: Tensor) -> dict[str, Tensor]:
        """Returns the probability of every group and class.

        Args:
            scores: As for :meth:`logits`.

        Returns:
            Level name -> (N, groups, ...) in 0..1. In the mode 'independent' they add up to 1 at
            each level; otherwise a group's is the sum over its classes, so that levels that leave
            classes out add up to less.
        """
        logits = self.logits(scores)
        if self.mode == "independent":
            return {name: values.softmax(dim=1) for name, values in logits.items()}
        return {name: values.exp() for name, values in logits.items()}

    def consistency(self, scores: Tensor, labels: Tensor) -> Tensor:
        r"""Measures how far the levels of the mode 'independent' contradict the classes.

        The Jensen-Shannon divergence (Lin, 1991) between the probabilities p of a level's own
        classifier and the sums q of the class probabilities over its groups, divided by their total
        at levels that leave classes out: with m = (p + q) / 2,
        :math:`\frac{1}{2} KL(p \| m) + \frac{1}{2} KL(q \| m)`, averaged over the pixels whose
        label belongs to the level and added up over levels.

        Args:
            scores: (N, K, H, W), as for :meth:`logits`.
            labels: (N, H, W) class labels, 0..C-1 or 255.

        Returns:
            Scalar from 0 to ln 2 for each level; 0 where there is no pixel.
        """
        logits = self.logits(scores)
        marginals = self._marginals(logits[FINE_LEVEL].log_softmax(dim=1))
        total = logits[FINE_LEVEL].new_zeros(())
        for name in self.levels:
            log_p = logits[name].log_softmax(dim=1)
            log_q = marginals[name].log_softmax(dim=1)
            log_m = torch.logaddexp(log_p, log_q) - math.log(2)
            divergence = 0.5 * (log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)).sum(
                dim=1
            )
            counted = self.labels(labels, name) < len(self.levels[name].classes)
            total = total + (divergence * counted).sum() / counted.sum().clamp(min=1)
        return total
