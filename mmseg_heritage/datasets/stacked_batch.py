"""Batches of training that travel from worker to main process, and to a device, as two tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

_LABEL = "gt_sem_seg"


@FUNCTIONS.register_module()
def stacked_collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Collates samples of one size; others as mmengine's ``pseudo_collate`` does.

    A worker hands each tensor of a batch over in shared memory of its own, and mmsegmentation's
    labels have 8 bytes for each pixel. Here images and labels are one tensor each, and labels have
    a byte, as :class:`~mmseg_heritage.models.HeritageDataPreProcessor` and
    :class:`~mmseg_heritage.models.HeritageEncoderDecoder` take them. For a segmentor of
    mmsegmentation leave ``collate_fn`` out.

    Args:
        samples: 'inputs', (C, H, W), and 'data_samples', with ``gt_sem_seg`` of ids 0 to 255.

    Returns:
        'inputs', (N, C, H, W); 'labels', uint8 (N, 1, H, W); 'data_samples', a list of N, whose
        ``gt_sem_seg`` are views of the labels.
    """
    images = [sample["inputs"] for sample in samples]
    found = [sample["data_samples"] for sample in samples]
    alike = len({image.shape for image in images}) == 1 and all(
        set(sample.keys()) == {_LABEL} for sample in found
    )
    labels = [sample.gt_sem_seg.data for sample in found] if alike else []
    if not labels or any(label.min() < 0 or label.max() > 255 for label in labels):
        collated: dict[str, Any] = pseudo_collate(samples)
        return collated
    together = torch.stack([label.to(torch.uint8) for label in labels])
    return {
        "inputs": torch.stack(images),
        "labels": together,
        "data_samples": _labeled(together, _without_labels(found)),
    }


class _LabeledSamples(list[SegDataSample]):
    """Samples of a batch, which are handed over without their labels and get them on arrival."""

    labels: Tensor | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self.labels is None:  # others have made a list of this type from its samples
            return list, (list(self),)
        return _labeled, (self.labels, _without_labels(self))


def _labeled(labels: Tensor, samples: Sequence[SegDataSample]) -> _LabeledSamples:
    """Gives samples their labels, uint8 (N, 1, H, W)."""
    for sample, label in zip(samples, labels, strict=True):
        sample.gt_sem_seg = PixelData(data=label)
    found = _LabeledSamples(samples)
    found.labels = labels
    return found


def _without_labels(samples: Sequence[SegDataSample]) -> list[SegDataSample]:
    return [SegDataSample(metainfo=sample.metainfo) for sample in samples]
