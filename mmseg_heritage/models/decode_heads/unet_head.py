"""U-Net's decoder over the feature pyramid of any backbone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_heritage.errors import InputError


class UNetBlock(nn.Module):
    """Doubles the size of a feature map, joins it with a skip and convolves twice.

    Args:
        in_channels: Channels of the map from below.
        skip_channels: Channels of the skip; 0 for none.
        out_channels: Channels of the result.
        upsample: 'nearest' or 'bilinear'.
        **layers: ``conv_cfg``, ``norm_cfg`` and ``act_cfg`` of the convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        out_channels: int,
        upsample: str = "nearest",
        **layers: Any,
    ) -> None:
        super().__init__()
        self.upsample = upsample
        joined = in_channels + skip_channels
        self.conv1 = ConvModule(joined, out_channels, 3, padding=1, **layers)
        self.conv2 = ConvModule(out_channels, out_channels, 3, padding=1, **layers)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Computes the block.

        Args:
            x: (N, in_channels, h, w).
            skip: (N, skip_channels, H, W), or None.
            size: H and W, each twice h and w or one less.

        Returns:
            (N, out_channels, H, W).
        """
        align_corners = None if self.upsample == "nearest" else False
        x = F.interpolate(x, scale_factor=2, mode=self.upsample, align_corners=align_corners)
        # A map of stride s has ceil(H / s) positions. Cropping keeps position i over pixel s * i.
        # Resizing to an odd size stretches the map, and with nearest rounds wrong at large sizes.
        x = x[..., : size[0], : size[1]]
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        result: Tensor = self.conv2(self.conv1(x))
        return result


@MODELS.register_module()
class UNetHead(BaseDecodeHead):
    """U-Net's decoder (Ronneberger et al., MICCAI 2015, arXiv:1505.04597), equal for all backbones.

    From the deepest feature map upwards, each block doubles the size, joins the backbone's map of
    that stride, and applies two 3x3 convolutions with normalization and activation, down to stride
    1 or 2. The convolutions are padded, as in later versions of U-Net and in
    segmentation_models_pytorch, whose decoder this equals. ``norm_cfg=None`` leaves the
    normalization out.

    **Stride 2.** Some backbones have a map of stride 2 (ResNet, MaxViT), others begin at stride 4
    (MiT, ConvNeXt, Swin), where the decoder would lack its finest skip. There, a stem of two
    convolutions computes it from the image, so that a comparison of backbones does not become one
    of decoders.

    **Stride 1.** No backbone has a map there. U-Net itself has a skip of full size, and damage of
    one or two pixels is drawn better with one: ``image_skip_channels`` computes it from the image
    by one convolution. Off by default, as in segmentation_models_pytorch.

    **The image** follows the feature maps as the last input, which
    :class:`~mmseg_heritage.models.segmentors.HeritageEncoderDecoder` sees to: for these, and so
    that the prediction has the size of the image where that is odd.

    Args:
        in_channels: Channels of each feature map, finest first.
        in_strides: Stride of each; every one twice that before, from 1, 2 or 4 upwards.
        decoder_channels: Width of each block, deepest first. As many as there are doublings from
            the deepest map to ``out_stride``.
        out_stride: Stride of the prediction, 1 or 2.
        stem_channels: Width of the stem where there is no map of stride 2; 0 leaves that skip out.
        image_skip_channels: Width of the skip at stride 1; 0 leaves it out.
        image_channels: Channels of the image, for the stem and for that skip.
        upsample: How each block doubles the size, 'nearest' or 'bilinear'.
        in_index: Which feature maps to take, negative ones from the deepest; None takes all.
        **kwargs: See :class:`mmseg.models.decode_heads.decode_head.BaseDecodeHead`.
            ``channels`` is not among them: it is the last of ``decoder_channels``.

    Attributes:
        uses_image: True; what the segmentor asks for.

    Raises:
        InputError: If strides, channels and widths do not go together.
    """

    uses_image = True

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int] = (4, 8, 16, 32),
        decoder_channels: Sequence[int] = (256, 128, 64, 32, 16),
        out_stride: int = 1,
        stem_channels: int = 64,
        image_skip_channels: int = 0,
        image_channels: int = 3,
        upsample: str = "nearest",
        in_index: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        problems = _argument_problems(
            in_channels, in_strides, decoder_channels, in_index, out_stride
        )
        if stem_channels < 0:
            problems.append(f"stem_channels={stem_channels}, expected 0 or more")
        if image_skip_channels < 0 or (image_skip_channels and out_stride != 1):
            problems.append(
                f"image_skip_channels={image_skip_channels}, expected 0, or more with out_stride=1"
            )
        if upsample not in ("nearest", "bilinear"):
            problems.append(f"upsample='{upsample}', expected nearest or bilinear")
        if "channels" in kwargs:
            problems.append("channels is the last of decoder_channels; take it out")
        if problems:
            raise InputError("UNetHead cannot be built", problems)
        targets = _targets(in_strides, out_stride)
        super().__init__(
            in_channels=list(in_channels),
            channels=decoder_channels[-1],
            in_index=list(range(len(in_channels)) if in_index is None else in_index),
            input_transform="multiple_select",
            **kwargs,
        )
        layers = {"conv_cfg": self.conv_cfg, "norm_cfg": self.norm_cfg, "act_cfg": self.act_cfg}
        skips = dict(zip(in_strides[:-1], in_channels[:-1], strict=True))
        self.stem: nn.Module | None = None
        if stem_channels > 0 and 2 in targets and 2 not in skips:
            self.stem = nn.Sequential(
                ConvModule(image_channels, stem_channels, 3, stride=2, padding=1, **layers),
                ConvModule(stem_channels, stem_channels, 3, padding=1, **layers),
            )
            skips[2] = stem_channels
        self.image_skip: nn.Module | None = None
        if image_skip_channels > 0:
            self.image_skip = ConvModule(
                image_channels, image_skip_channels, 3, padding=1, **layers
            )
            skips[1] = image_skip_channels
        self.in_strides = tuple(in_strides)
        self.image_channels = image_channels
        self.targets = tuple(targets)
        widths = [in_channels[-1], *decoder_channels]
        self.blocks = nn.ModuleList(
            UNetBlock(width, skips.get(stride, 0), out, upsample, **layers)
            for width, out, stride in zip(widths[:-1], widths[1:], targets, strict=True)
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Returns the class scores.

        Args:
            inputs: Feature maps (N, C_i, ceil(H / s_i), ceil(W / s_i)), then the image
                (N, image_channels, H, W).

        Returns:
            (N, num_classes, ceil(H / out_stride), ceil(W / out_stride)).

        Raises:
            InputError: If the image is missing or has other channels than it is to have, or a map
                has another size.
        """
        scores: Tensor = self.cls_seg(self._forward_feature(inputs))
        return scores

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        """Returns the features before the classifier."""
        skips, image = self._skips_and_image(inputs)
        x = skips[self.in_strides[-1]]
        if self.stem is not None:
            skips[2] = self.stem(image)
        if self.image_skip is not None:
            skips[1] = self.image_skip(image)
        for block, stride in zip(self.blocks, self.targets, strict=True):
            x = block(x, skips.get(stride), _size_at(stride, image))
        return x

    def _skips_and_image(self, inputs: Sequence[Tensor]) -> tuple[dict[int, Tensor], Tensor]:
        """Returns the feature maps by their strides, and the image, or raises for what is off."""
        *maps, image = inputs
        if not all(-len(maps) <= index < len(maps) for index in self.in_index):
            raise InputError(
                f"UNetHead expects feature maps {self.in_index} and, last, the image; found "
                f"{len(inputs)} inputs; use HeritageEncoderDecoder"
            )
        reads_image = self.stem is not None or self.image_skip is not None
        if reads_image and image.shape[1] != self.image_channels:
            raise InputError(
                f"UNetHead expects an image of {self.image_channels} channels as its last "
                f"input, found {image.shape[1]}; set image_channels, and use HeritageEncoderDecoder"
            )
        skips = dict(zip(self.in_strides, self._transform_inputs(maps), strict=True))
        for stride, feature in skips.items():
            expected = _size_at(stride, image)
            if tuple(feature.shape[2:]) != expected:
                raise InputError(
                    f"UNetHead expects, for an image of {tuple(image.shape[2:])} px as its last "
                    f"input, a map of {expected} at stride {stride}, found "
                    f"{tuple(feature.shape[2:])}; use HeritageEncoderDecoder and a backbone of "
                    f"strides {self.in_strides}, and if that rounds sizes down, pad images to a "
                    f"multiple of {self.in_strides[-1]} (size_divisor of data_preprocessor, and "
                    "of its test_cfg)"
                )
        return skips, image


def _size_at(stride: int, image: Tensor) -> tuple[int, int]:
    """Returns the height and width of an image's feature map."""
    height, width = image.shape[2:]
    return -(-height // stride), -(-width // stride)


def _targets(in_strides: Sequence[int], out_stride: int) -> list[int]:
    """Returns the stride of each block's result, deepest first."""
    strides = [2**exponent for exponent in range(in_strides[-1].bit_length() - 1)]
    return [stride for stride in reversed(strides) if stride >= out_stride]


def _argument_problems(
    in_channels: Sequence[int],
    in_strides: Sequence[int],
    decoder_channels: Sequence[int],
    in_index: Sequence[int] | None,
    out_stride: int,
) -> list[str]:
    """Says what is wrong with the feature maps and the widths."""
    given: dict[str, Any] = {
        "in_channels": in_channels,
        "in_strides": in_strides,
        "decoder_channels": decoder_channels,
    }
    problems = [
        f"{name}={value!r}, expected a list of numbers from 1 upwards"
        + ("; only HeritageEncoderDecoder fills 'auto'" if value == "auto" else "")
        for name, value in given.items()
        if not _are_positive(value)
    ]
    if problems:
        return problems
    strides = list(in_strides)
    doubling = all(b == 2 * a for a, b in itertools.pairwise(strides))
    if strides[0] not in (1, 2, 4) or strides[-1] < 4 or not doubling:
        problems.append(
            f"in_strides={strides}, expected to begin at 1, 2 or 4, to double and to reach 4; a "
            "backbone with dilated stages does not, use its default output stride"
        )
    if len(in_channels) != len(strides):
        problems.append(f"{len(in_channels)} in_channels, but {len(strides)} in_strides")
    if in_index is not None and len(in_index) != len(in_channels):
        problems.append(f"{len(in_index)} in_index, but {len(in_channels)} in_channels")
    if out_stride not in (1, 2):
        problems.append(f"out_stride={out_stride}, expected 1 or 2")
    targets = _targets(in_strides, out_stride)
    if not problems and len(decoder_channels) != len(targets):
        problems.append(
            f"decoder_channels={tuple(decoder_channels)}, expected {len(targets)} widths, for the "
            f"strides {', '.join(map(str, targets))}"
        )
    return problems


def _are_positive(values: Any) -> bool:
    """Whether a value is a list or tuple of one or more whole numbers from 1 upwards."""
    return (
        isinstance(values, (list, tuple))
        and len(values) > 0
        and all(isinstance(value, int) and value > 0 for value in values)
    )
