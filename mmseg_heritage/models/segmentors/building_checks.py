"""Checks of a segmentor's parts against each other, when it is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter
from mmseg_heritage.models.decode_heads.hierarchical_uper_head import HierarchicalUPerHead
from mmseg_heritage.models.losses.masked_loss import MaskedLoss
from mmseg_heritage.models.segmentors.connecting import backbone_name, image_channels
from mmseg_heritage.taxonomy import IGNORE_INDEX


def check_maps(decode_head: nn.Module, auxiliary_heads: list[nn.Module]) -> None:
    """Verifies that the decoder's maps can be enlarged exactly, and hold a byte for a pixel.

    Raises:
        InputError: With every head whose maps cannot.
    """
    problems = [
        f"model.{part}.align_corners=True stretches maps over the image; leave it out"
        for part, heads in (("decode_head", [decode_head]), ("auxiliary_head", auxiliary_heads))
        if any(getattr(head, "align_corners", False) for head in heads)
    ]
    if decode_head.num_classes >= IGNORE_INDEX:
        problems.append(
            f"model.decode_head has {decode_head.num_classes} classes; at most 254 can be"
        )
    if problems:
        raise InputError("maps of this model would not be right", problems)


def check_normalization(backbone: nn.Module, data_preprocessor: Any) -> None:
    """Verifies that mean and std are for the channels that the backbone takes.

    Raises:
        InputError: If there are not as many as channels.
    """
    channels = image_channels(backbone)
    problems = []
    for name in ("mean", "std"):
        values = getattr(data_preprocessor, name, None)
        if values is not None and len(values) not in (1, channels):
            problems.append(f"model.data_preprocessor.{name} has {len(values)} numbers")
    if problems:
        raise InputError(
            f"model.backbone ({backbone_name(backbone)}) takes images of {channels} channels; give "
            f"mean and std 1 or {channels} numbers each, and let the pipelines load images of "
            f"{channels} channels",
            problems,
        )


def expected_normalization(backbone: nn.Module, name: str) -> list[float]:
    """Returns the mean or std that the weights of the backbone expect.

    Args:
        backbone: The backbone of the model.
        name: 'mean' or 'std'.

    Raises:
        InputError: If the backbone cannot tell.
    """
    if not isinstance(backbone, TimmBackboneAdapter):
        raise InputError(
            f"model.data_preprocessor.{name}='auto' asks a TimmBackboneAdapter, but model.backbone "
            f"is a {backbone_name(backbone)}; give a number for each channel"
        )
    return list(getattr(backbone, f"pixel_{name}"))


def check_losses(heads: Mapping[str, nn.Module]) -> None:
    """Verifies that the losses of heads have as many weights as there are classes.

    Args:
        heads: Key in the model's config -> head.

    Raises:
        InputError: With every loss that does not.
    """
    problems = []
    for part, head in heads.items():
        losses = {"loss_decode": (head.num_classes, getattr(head, "loss_decode", None))}
        if isinstance(head, HierarchicalUPerHead):
            counts = {name: len(level.classes) for name, level in head.levels.items()}
            losses = {
                f"the level '{name}'": (counts.get(name, head.num_classes), found)
                for name, found in head.level_losses.items()
            }
        for where, (num_classes, found) in losses.items():
            for loss in found.modules() if isinstance(found, nn.Module) else ():
                if isinstance(loss, MaskedLoss):
                    try:
                        loss.check_classes(num_classes)
                    except InputError as error:
                        named = f"model.{part}, {where}, {type(loss).__name__}"
                        problems.append(f"{named}: {' '.join([error.summary, *error.problems])}")
    if problems:
        raise InputError("losses do not fit the number of classes", problems)
