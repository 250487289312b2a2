"""How decode heads fit a backbone: what it gives, what they read, what their configs leave open."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter

AUTO = "auto"
PROBE = 64
"""Pixels of the side of an image on which a backbone is tried: strides up to 32 divide it."""


@dataclass(frozen=True)
class Pyramid:
    """What a backbone (with its neck) gives to the decoders.

    Attributes:
        channels: Channels of each feature map.
        strides: Pixels of the image for each step in it.
        rounds_up: Whether a side of any L pixels becomes ceil(L / stride) steps, which begin at
            multiples of the stride.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    rounds_up: bool = True


def image_channels(backbone: nn.Module) -> int:
    """Returns the channels of the images that a backbone takes.

    Those that a :class:`TimmBackboneAdapter` states, or those of the first convolution; R, G and B
    where there is none.
    """
    if isinstance(backbone, TimmBackboneAdapter):
        return backbone.in_channels
    convolutions = (m.in_channels for m in backbone.modules() if isinstance(m, nn.Conv2d))
    return int(next(convolutions, 3))


def as_list(index: int | Sequence[int]) -> list[int]:
    """Returns an ``in_index``, one number or several, as a list."""
    return [index] if isinstance(index, int) else list(index)


def maps_read(head: nn.Module, pyramid: Pyramid, image_channels: int) -> set[int]:
    """Finds out which feature maps the output of a head depends on.

    Heads such as DeepLabV3+'s read more than their ``in_index`` says; so it is tried.

    Args:
        head: Decode head.
        pyramid: What the backbone gives.
        image_channels: Channels of the image, for a head that uses it.
    """
    probe = copy.deepcopy(head).to("meta").eval()
    maps = [
        torch.empty(1, channels, PROBE // stride, PROBE // stride, device="meta").requires_grad_()
        for channels, stride in zip(pyramid.channels, pyramid.strides, strict=True)
    ]
    image = torch.empty(1, image_channels, PROBE, PROBE, device="meta")
    try:
        with torch.enable_grad():
            output = probe((*maps, image) if getattr(head, "uses_image", False) else tuple(maps))
        gradients = torch.autograd.grad(output.sum(), maps, allow_unused=True)
    except Exception:  # heads that return something else, or need content: they may read all
        return set(range(len(maps)))
    return {i for i, gradient in enumerate(gradients) if gradient is not None}


def backbone_name(backbone: nn.Module) -> str:
    """Returns the class of the backbone, with the name of the model where it wraps one."""
    name = getattr(backbone, "model_name", None)
    return type(backbone).__name__ + (f" {name}" if name else "")


def connected(
    head: Mapping[str, Any], part: str, backbone: nn.Module, pyramid: Pyramid
) -> dict[str, Any]:
    """Fills what is 'auto' in a head's config, and verifies what is not.

    Args:
        head: Config of a decode head.
        part: Its key in the model's config, for messages.
        backbone: Of the model.
        pyramid: What the backbone gives.

    Raises:
        InputError: If the head expects what the backbone does not give.
    """
    head = dict(head)
    given = head.get("in_channels")
    if head.get("in_index") is None and not isinstance(given, int):
        head["in_index"] = list(range(len(pyramid.channels)))
    index = head.get("in_index", -1)  # the default of mmsegmentation's heads
    single = isinstance(index, int)
    wanted: list[int] = [index] if single else list(index)
    beyond = [i for i in wanted if not -len(pyramid.channels) <= i < len(pyramid.channels)]
    if beyond:
        raise InputError(
            f"model.{part} ({head['type']}) asks for feature maps {wanted}, but "
            f"model.backbone ({backbone_name(backbone)}) gives {len(pyramid.channels)}; "
            "change in_index, or out_indices of the backbone"
        )
    # The image may follow the feature maps: -1 must stay the deepest of them.
    wanted = [i % len(pyramid.channels) for i in wanted]
    head["in_index"] = wanted[0] if single else wanted
    channels = [pyramid.channels[i] for i in wanted]
    if given == AUTO:
        head["in_channels"] = channels[0] if single else channels
    elif given is not None and (given != channels[0] if single else list(given) != channels):
        raise InputError(
            f"model.{part} ({head['type']}) expects in_channels={given}, but model.backbone "
            f"({backbone_name(backbone)}) gives {channels[0] if single else channels} in "
            f"feature maps {index}; in_channels='auto' takes what the backbone gives"
        )
    c1, first = head.get("c1_in_channels"), pyramid.channels[0]  # DepthwiseSeparableASPPHead
    if c1 == AUTO:
        head["c1_in_channels"] = first
    elif c1 and c1 != first:
        raise InputError(
            f"model.{part} ({head['type']}) expects c1_in_channels={c1}, but model.backbone "
            f"({backbone_name(backbone)}) gives {first} in its first feature map; "
            "c1_in_channels='auto' takes what the backbone gives"
        )
    if head.get("in_strides") == AUTO:
        head["in_strides"] = [pyramid.strides[i] for i in wanted]
    if head.get("image_channels") == AUTO:
        head["image_channels"] = image_channels(backbone)
    return head
