"""The penalties of a segmentor: they look at its last convolution while it computes its losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS, TASK_UTILS
from torch import Tensor, nn

from mmseg_heritage.domains.penalties.domain_batch import by_domain
from mmseg_heritage.domains.penalties.domain_penalty import DomainPenalty
from mmseg_heritage.errors import InputError

Losses = dict[str, Tensor]


@TASK_UTILS.register_module()
class DomainPenalties:
    """Adds the penalties of ``dg=[...]`` to the losses of a segmentor.

    They are no part of the model's weights: a checkpoint has the names of the plain model, and what
    penalties remember is kept beside, see :class:`~mmseg_heritage.domains.DomainPenaltyHook`.

    Args:
        penalties: Configs; those of weight 0 are left out.
        head: The decode head, with a last convolution ``conv_seg`` that gives a score for each
            class.

    Raises:
        InputError: If a penalty cannot be used, or the head has no such convolution.
    """

    def __init__(self, penalties: Sequence[Mapping[str, Any]], head: nn.Module) -> None:
        built = [MODELS.build(dict(penalty)) for penalty in penalties]
        problems = [
            f"{type(penalty).__name__} is no penalty"
            for penalty in built
            if not isinstance(penalty, DomainPenalty)
        ]
        names = [type(penalty).__name__ for penalty in built]
        problems += [
            f"{name} is there twice" for name in sorted(set(names)) if names.count(name) > 1
        ]
        classifier = getattr(head, "conv_seg", None)
        if not isinstance(classifier, nn.Conv2d) or classifier.kernel_size != (1, 1):
            problems.append(f"{type(head).__name__} has no 1x1 convolution conv_seg")
        elif classifier.out_channels < 2:
            problems.append("conv_seg gives one score; penalties need one for each class")
        if problems:
            raise InputError("model.dg cannot be used", problems)
        self.penalties: list[DomainPenalty] = [p for p in built if p.weight]
        self._classifier: list[Any] = [classifier]  # in a list, so that it is not registered twice

    def add_to(self, compute: Callable[[], Losses], data_samples: Sequence[Any]) -> Losses:
        """Computes the losses of a batch, and adds the penalties.

        Args:
            compute: Computes the losses; it calls the classifier once.
            data_samples: Of the images, with ``gt_sem_seg`` and a ``domain``.

        Raises:
            InputError: If the domains of the batch cannot be compared, see
                :func:`~mmseg_heritage.domains.penalties.domain_batch.by_domain`.
        """
        if not self.penalties:
            return compute()
        seen: list[tuple[Tensor, Tensor]] = []
        handle = self._classifier[0].register_forward_hook(
            lambda module, inputs, output: seen.append((inputs[0], output))
        )
        try:
            losses = compute()
        finally:
            handle.remove()
        labels = torch.stack([sample.gt_sem_seg.data[0] for sample in data_samples])
        features, logits = seen[0]
        with torch.autocast(logits.device.type, enabled=False):
            batch = by_domain(features, logits, labels, data_samples)
            for penalty in self.penalties:
                losses[penalty.loss_name] = self._weighed(penalty, batch)
        return losses

    @staticmethod
    def _weighed(penalty: DomainPenalty, batch: Any) -> Tensor:
        weight = penalty.current_weight
        if weight is None:
            raise InputError(
                f"nobody sets the weight of {type(penalty).__name__} and keeps what it remembers; "
                "add dict(type='DomainPenaltyHook') to custom_hooks"
            )
        if not weight:  # what is remembered grows all the same
            with torch.no_grad():
                return torch.zeros_like(penalty(batch))
        return weight * penalty(batch)
