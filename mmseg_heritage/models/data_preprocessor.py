"""Normalization of batches on the device, from two copies of a byte for each value."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

from mmseg_heritage.compat import turns_channels


@MODELS.register_module()
class HeritageDataPreProcessor(SegDataPreProcessor):
    """mmsegmentation's, with the same results, for whole batches at a time where they are stacked.

    Batches of :func:`~mmseg_heritage.datasets.stacked_batch.stacked_collate` are copied to the
    device as one tensor of images and one of labels, a byte for each value, from pinned memory
    without waiting. Others, batches that are to be padded or augmented, and those of tests take
    mmsegmentation's way.

    The arguments are those of :class:`mmseg.models.SegDataPreProcessor`.
    """

    def forward(self, data: Mapping[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalizes images.

        Args:
            data: 'inputs', uint8 (N, C, H, W) or a list of images (C, H, W); 'data_samples';
                'labels', uint8 (N, 1, H, W), of a stacked batch.
            training: Whether the samples have labels to learn from.

        Returns:
            'inputs', float32 (N, C, H, W), and 'data_samples' on the device of the model.
        """
        if not training or self.batch_augments is not None or not self._is_whole(data):
            found: dict[str, Any] = super().forward(
                {name: data[name] for name in ("inputs", "data_samples") if name in data}, training
            )
            return found
        images, labels = self.cast_data([data["inputs"], data["labels"]])
        if turns_channels(self) and images.shape[1] == 3:
            images = images[:, [2, 1, 0]]
        images = images.float()
        if self._enable_normalize:
            images = (images - self.mean) / self.std
        samples = []
        for given, label in zip(data["data_samples"], labels.long(), strict=True):
            sample = copy.copy(given)
            sample.gt_sem_seg = PixelData(data=label)
            samples.append(sample)
        return {"inputs": images, "data_samples": samples}

    def _is_whole(self, data: Mapping[str, Any]) -> bool:
        """Returns whether a batch is stacked and needs no padding."""
        if "labels" not in data:
            return False
        size = tuple(data["inputs"].shape[2:])
        return size == tuple(self.size or size) and not any(
            side % (self.size_divisor or 1) for side in size
        )
