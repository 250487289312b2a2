"""Class-activation maps: which parts of an image activate a class."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import FINE_LEVEL

MAX_EDGE = 1024
"""Long edge in pixels of the image that the gradients are taken of; larger ones are shrunk."""


def require_captum() -> None:
    """Says what to install where the library is missing.

    Raises:
        InputError: If captum is not installed.
    """
    if find_spec("captum") is None:
        raise InputError(
            "class-activation maps need the package captum, which is not installed; "
            "install it with: pip install captum (or the extra 'all')"
        )


def class_activations(
    model: nn.Module, image: Tensor, index: int, mask: np.ndarray
) -> list[np.ndarray]:
    """Computes Seg-Grad-CAM at every feature map that the decoder takes from the backbone.

    Selvaraju et al., "Grad-CAM", ICCV 2017, with the score of Vinogradova et al., "Towards
    Interpretable Semantic Segmentation via Gradient-Weighted Class Activation Mapping", AAAI 2020,
    equation 2: the logit of the class, averaged over the pixels of a mask. Computed by captum.

    Args:
        model: An encoder-decoder in evaluation mode.
        image: float (1, 3, H, W), normalized as the model expects it.
        index: Id of the class.
        mask: bool (H', W') with one True or more, of the same photograph at any size.

    Returns:
        Of each feature map, the finest first, float32 (h, w) from 0 upwards, at its size. All 0
        where nothing in it raises the score.

    Raises:
        InputError: If captum is missing, or the decoder gives no map of scores.
    """
    require_captum()
    from captum.attr import LayerGradCam

    edge = MAX_EDGE
    if hasattr(model, "window_inference"):  # as large as the prediction saw it
        seen = model.window_inference.sizes(*image.shape[2:])
        edge = min(edge, max(max(size) for size in seen))
    scale = edge / max(image.shape[2:])
    if scale < 1:
        image = F.interpolate(image, scale_factor=scale, mode="bilinear", antialias=True)
    weight = torch.from_numpy(mask.astype(np.float32))[None, None].to(image.device)
    height, width = image.shape[2:]
    weight = F.interpolate(weight, size=(height, width), mode="area")
    # As far as the feature maps of our segmentor reach.
    whole = model.whole_size(image) if hasattr(model, "whole_size") else (height, width)
    weight = F.pad(weight, (0, whole[1] - width, 0, whole[0] - height))
    scorer = _ClassScore(model, index, weight)
    grad_cam = LayerGradCam(scorer, scorer.features)
    found = grad_cam.attribute(image.detach().requires_grad_(), relu_attributions=True)
    maps = found if isinstance(found, tuple) else (found,)
    arrays = []
    for values in maps:
        rows, columns = (
            math.ceil(side * steps / full)
            for side, steps, full in zip((height, width), values.shape[2:], whole, strict=True)
        )
        arrays.append(values[0, 0, :rows, :columns].detach().float().cpu().numpy())
    return sorted(arrays, key=lambda values: -values.size)


class _FeatureMaps(nn.Module):
    """Hands feature maps on, so that all of them are the output of one module."""

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        return maps


class _ClassScore(nn.Module):
    """The score of one class over a mask, with the feature maps as the output of a module."""

    def __init__(self, model: nn.Module, index: int, weight: Tensor) -> None:
        super().__init__()
        self.model, self.index, self.weight = model, index, weight
        self.features = _FeatureMaps()

    def forward(self, image: Tensor) -> Tensor:
        """Returns the score (1,) of an image (1, 3, H, W)."""
        head = self.model.decode_head
        maps = list(self.model.extract_feat(image))
        used = getattr(head, "in_index", range(len(maps)))
        places = [used] if isinstance(used, int) else list(used)
        for place, feature in zip(places, self.features(*(maps[p] for p in places)), strict=True):
            maps[place] = feature
        logits = head(maps)
        if not isinstance(logits, Tensor) or logits.ndim != 4:
            raise InputError(
                f"class-activation maps need a decoder that gives a map of scores for each class; "
                f"{type(head).__name__} gives {type(logits).__name__}"
            )
        scores = getattr(head, "scores", None)
        if scores is not None:  # of a hierarchical head
            logits = scores.logits(logits)[FINE_LEVEL]
        weight = F.interpolate(self.weight, size=logits.shape[2:], mode="area")
        return (logits[:, self.index] * weight[:, 0]).sum(dim=(1, 2)) / weight.sum()
