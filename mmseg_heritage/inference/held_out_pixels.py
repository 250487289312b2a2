"""A sample of the pixels of whole images, with what a model says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import Tensor

from mmseg_heritage.inference.sources import TensorSource
from mmseg_heritage.models.segmentors import HeritageEncoderDecoder
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.taxonomy import FINE_LEVEL, IGNORE_INDEX
from mmseg_heritage.utils.progress import Progress

MOST_VALUES = 1 << 23
"""Probabilities that are kept: 32 MiB, whatever the number and the size of the images."""


class Images(Protocol):
    """A data set with the pipeline of a test."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Mapping[str, Any]: ...


@dataclass(frozen=True, eq=False)
class HeldOutPixels:
    """Labeled pixels, each drawn with the same probability.

    Attributes:
        logs: Logarithms of the probabilities of the classes, float32 (N, C).
        labels: True classes, int64 (N,).
        predicted: Classes that were chosen, int64 (N,).
        images: Number of the image of each pixel, int64 (N,).
        share: Probability with which a labeled pixel was drawn, 0 to 1.
    """

    logs: Tensor
    labels: Tensor
    predicted: Tensor
    images: Tensor
    share: float


def held_out_pixels(
    model: HeritageEncoderDecoder,
    images: Images,
    labeled: int,
    report: Progress,
    most_values: int = MOST_VALUES,
    seed: int = 0,
) -> HeldOutPixels:
    """Predicts images whole, as ``predict`` does, and draws pixels from each band of rows.

    Args:
        model: In eval mode; a calibration of it is not applied.
        images: Samples with 'inputs', (C, H, W), and 'data_samples' with labels (1, H, W) at the
            size of the photograph.
        labeled: Number of labeled pixels of all images.
        report: Told the number of images that are done.
        most_values: See :data:`MOST_VALUES`.
        seed: Of the draws.
    """
    inference, head = model.window_inference, HeadScores(model.decode_head)
    classes = max(model.num_classes, 2)
    share = min(1.0, most_values / classes / max(labeled, 1))
    random = np.random.default_rng(seed)
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    before = inference.logits, getattr(model.decode_head, "calibration", None)
    inference.logits, model.decode_head.calibration = True, None
    try:
        for number in range(len(images)):
            sample = pseudo_collate([images[number]])
            label = sample["data_samples"][0].gt_sem_seg.data[0]
            source = TensorSource(sample["inputs"][0])
            for rows, part in inference.bands(model, source, tuple(label.shape)):
                if part.logs is not None:
                    drawn = _draw(label[rows].cpu().numpy(), share, random)
                    ids = part.ids[FINE_LEVEL].cpu()[drawn]
                    found.append((
                        head.class_logs(part.logs[:, drawn[0], drawn[1]]).T.float().cpu(),
                        label[rows].cpu()[drawn].long(), ids.long(),
                        torch.full((len(ids),), number),
                    ))  # fmt: skip
            report(number + 1, len(images))
    finally:
        inference.logits, model.decode_head.calibration = before
    return HeldOutPixels(*_joined(found), share)


def _draw(label: np.ndarray, share: float, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Returns rows and columns of some labeled pixels."""
    chosen = (label != IGNORE_INDEX) & (random.random(label.shape, np.float32) < share)
    rows, columns = np.nonzero(chosen)
    return torch.from_numpy(rows), torch.from_numpy(columns)


def _joined(
    found: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    logs, labels, predicted, images = (torch.cat(part) for part in zip(*found, strict=True))
    return logs, labels, predicted, images
