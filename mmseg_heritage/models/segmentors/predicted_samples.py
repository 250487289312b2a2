"""Samples of mmsegmentation, with the maps that were predicted for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch.nn.functional as F
from mmengine.structures import PixelData
from numpy.typing import NDArray
from torch import Tensor

from mmseg_heritage.scores.arrays import FLIPS
from mmseg_heritage.scores.head_scores import HeadScores
from mmseg_heritage.taxonomy import FINE_LEVEL


def with_maps(sample: Any, found: Any, scores: HeadScores) -> Any:
    """Gives a sample its maps, turned back where a pipeline has flipped the photograph.

    Args:
        sample: Sample of a photograph; changed in place.
        found: What :class:`~mmseg_heritage.inference.window_inference.WindowInference` returns.
        scores: The scores of the decoder.

    Returns:
        The sample.
    """
    dims = FLIPS[sample.metainfo.get("flip_direction")] if sample.metainfo.get("flip") else ()
    fields = {map_field(name): ids[None] for name, ids in found.ids.items()}
    if found.confidence is not None:
        fields["confidence"] = found.confidence[None]
    if found.logs is not None:
        fields["log_probabilities"] = found.logs
        fields["seg_logits"] = scores.class_logits(found.logs)
    for name, data in fields.items():  # a flip copies, which scores are too large for
        sample.set_data({name: PixelData(data=data.flip(dims) if dims else data)})
    if scores.levels:
        sample.set_metainfo({"levels": scores.levels})
    return sample


def filled(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Fills images or maps (N, C, H, W) up to a height and width by their last row and column."""
    below, right = size[0] - image.shape[2], size[1] - image.shape[3]
    if not below and not right:
        return image
    return F.pad(image, (0, right, 0, below), mode="replicate")


def map_field(level: str) -> str:
    """Returns the field of a sample that holds the map of a level."""
    return "pred_sem_seg" if level == FINE_LEVEL else f"pred_sem_seg_{level}"


def without_padding(image: Tensor, sample: Any) -> Tensor:
    """Returns an image (C, H, W) without what the ``data_preprocessor`` has added around it."""
    meta = sample.metainfo
    left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", (0,) * 4))
    return image[:, top : image.shape[1] - bottom, left : image.shape[2] - right]


def class_ids(pixel_data: PixelData) -> NDArray[np.uint8]:
    """Returns the ids of a map in a sample as uint8 (H, W)."""
    return pixel_data.data.squeeze(0).cpu().numpy().astype(np.uint8, copy=False)
