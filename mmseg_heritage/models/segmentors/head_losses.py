"""The losses of a decode head, as mmsegmentation has them, without what costs and is not used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn


def head_losses(
    head: nn.Module, inputs: Any, samples: Sequence[Any], train_cfg: Any, with_accuracy: bool
) -> dict[str, Tensor]:
    """Runs a head and computes its losses, equal to those of ``head.loss``.

    mmsegmentation's heads sort the scores of every pixel in each iteration, for an accuracy in the
    log, and wait for the device to count the pixels. Here that is left out, or comes without
    sorting and waiting. Heads with losses of their own compute them themselves.

    Args:
        head: Decode head or auxiliary head.
        inputs: Feature maps.
        samples: With ``gt_sem_seg``, int64 (1, H, W).
        train_cfg: Handed on to heads that compute the losses themselves.
        with_accuracy: Whether to add 'acc_seg', see :func:`pixel_accuracy`.

    Returns:
        Name of a loss -> its value.
    """
    stock = isinstance(head, BaseDecodeHead) and all(
        getattr(type(head), name) is getattr(BaseDecodeHead, name)
        for name in ("loss", "loss_by_feat")
    )
    if not stock:
        found: dict[str, Tensor] = head.loss(inputs, samples, train_cfg)
        return found
    labels = head._stack_batch_gt(samples)
    scores = resize(
        head(inputs), size=labels.shape[2:], mode="bilinear", align_corners=head.align_corners
    )
    weight = None if head.sampler is None else head.sampler.sample(scores, labels)
    labels = labels.squeeze(1)
    several = isinstance(head.loss_decode, nn.ModuleList)
    losses: dict[str, Tensor] = {}
    for loss in head.loss_decode if several else [head.loss_decode]:
        value = loss(scores, labels, weight=weight, ignore_index=head.ignore_index)
        name = loss.loss_name
        losses[name] = losses[name] + value if name in losses else value
    if with_accuracy:
        losses["acc_seg"] = pixel_accuracy(scores, labels, head.ignore_index)
    return losses


def pixel_accuracy(scores: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    """Returns the share of pixels whose own class has the largest score, in percent, (1,).

    Args:
        scores: (N, C, H, W); with one channel, above 0 is class 1.
        labels: int64 (N, H, W).
        ignore_index: Label of pixels that do not count.
    """
    counted = labels != ignore_index
    if scores.shape[1] == 1:
        right = (scores[:, 0] > 0) == (labels == 1)
    else:
        own = scores.gather(1, labels.where(counted, 0)[:, None])[:, 0]
        right = own >= scores.amax(1)
    share = torch.count_nonzero(right & counted) / torch.count_nonzero(counted).clamp(min=1)
    return 100 * share[None]
