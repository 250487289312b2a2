"""What penalties see of a step of training: the classifier's input, output and labels by domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmseg_heritage.domains.domain_batch_sampler import domain_of
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.losses.labeled_pixels import NO_CLASS, working_precision


@dataclass(frozen=True)
class DomainBatch:
    """A batch of images, taken apart by domain. At least two domains, each of at least two images.

    Attributes:
        names: Of the D domains, sorted.
        features: Input of the last convolution, float32 or float64 (n_d, K, h, w) for each domain.
        logits: Its output, (n_d, C, h, w).
        labels: int64 (n_d, H, W), classes 0..C-1, or
            :data:`~mmseg_heritage.models.losses.labeled_pixels.NO_CLASS`.
    """

    names: tuple[str, ...]
    features: tuple[Tensor, ...]
    logits: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]

    @cached_property
    def full_logits(self) -> tuple[Tensor, ...]:
        """The logits at the size of the labels, enlarged as mmsegmentation's heads do."""
        return tuple(
            logits
            if logits.shape[2:] == labels.shape[1:]
            else functional.interpolate(logits, labels.shape[1:], mode="bilinear")
            for logits, labels in zip(self.logits, self.labels, strict=True)
        )

    @cached_property
    def losses(self) -> Tensor:
        """Cross entropy of each domain, (D,): the mean over its labeled pixels, 0 without one."""
        found = []
        for logits, labels in zip(self.full_logits, self.labels, strict=True):
            total = functional.cross_entropy(logits, labels, ignore_index=NO_CLASS, reduction="sum")
            found.append(total / (labels != NO_CLASS).sum().clamp(min=1))
        return torch.stack(found)

    @cached_property
    def cell_labels(self) -> tuple[Tensor, ...]:
        """Labels (n_d, h, w) of the cells of the feature maps: of the pixel in their middle."""
        return tuple(
            _in_the_middle(labels, features.shape[2:])
            for features, labels in zip(self.features, self.labels, strict=True)
        )


def _in_the_middle(labels: Tensor, size: Sequence[int]) -> Tensor:
    """Returns the labels (N, H, W) of the pixels in the middle of ``size`` cells."""
    rows, columns = (
        ((torch.arange(cells, device=labels.device) + 0.5) * side / cells).long()
        for cells, side in zip(size, labels.shape[1:], strict=True)
    )
    return labels[:, rows[:, None], columns]


def by_domain(
    features: Tensor, logits: Tensor, labels: Tensor, data_samples: Sequence[Any]
) -> DomainBatch:
    """Takes a batch apart.

    Args:
        features: (N, K, h, w).
        logits: (N, C, h, w).
        labels: (N, H, W), integers; those outside 0..C-1 take no part.
        data_samples: Of N images, which know their ``domain``.

    Raises:
        InputError: If an image names no domain, if all are of one, or if a domain has one image.
    """
    names = [domain_of(sample.metainfo) for sample in data_samples]
    if "" in names:
        raise InputError(
            "a training image names no domain, which penalties compare. Set "
            "train_dataloader.dataset.domain_key to 'material' or 'content', and let PackSegInputs "
            "pack 'domain' (meta_keys)"
        )
    places = {name: [i for i, n in enumerate(names) if n == name] for name in sorted(set(names))}
    problems = [f"one image of {name}" for name, found in places.items() if len(found) < 2]
    if len(places) < 2:
        problems = [f"all {len(names)} images are of {names[0]}"]
    if problems:
        raise InputError(
            "penalties need two domains in a batch of each process, and two images of each. Take "
            "train_dataloader.sampler=dict(type='DomainBatchSampler', domains_per_batch=..., "
            "images_per_domain=...)",
            problems,
        )
    features, logits = working_precision(features), working_precision(logits)
    is_class = (labels >= 0) & (labels < logits.shape[1])
    labels = torch.where(is_class, labels.long(), NO_CLASS)
    return DomainBatch(
        tuple(places),
        tuple(features[found] for found in places.values()),
        tuple(logits[found] for found in places.values()),
        tuple(labels[found] for found in places.values()),
    )
