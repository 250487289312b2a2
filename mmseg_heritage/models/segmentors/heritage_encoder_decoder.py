"""EncoderDecoder that fits decoders to backbones and gives the maps of every level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import FINE_LEVEL

AUTO = "auto"
_PROBE = 64  # pixels; strides up to 32 give whole feature maps
_ODD_PROBE = 65


@dataclass(frozen=True)
class Pyramid:
    """What a backbone (with its neck) gives to the decoders.

    Attributes:
        channels: Channels of each feature map.
        strides: Pixels of the image for each step in it.
        rounds_up: Whether a side of L pixels becomes ceil(L / stride) steps.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    rounds_up: bool = True


def image_channels(backbone: nn.Module) -> int:
    """Returns the channels of the images that a backbone takes: those of its first convolution."""
    convolutions = (m for m in backbone.modules() if isinstance(m, nn.Conv2d))
    return int(next(convolutions).in_channels)


@MODELS.register_module()
class HeritageEncoderDecoder(EncoderDecoder):
    """mmsegmentation's EncoderDecoder with connected parts and hierarchical predictions.

    - A head whose ``in_channels`` is ``'auto'`` takes them from the backbone, for all feature maps
      or for those of its ``in_index``; the same holds for ``in_strides`` and ``image_channels``,
      where a head has them.
      Numbers that disagree with the backbone are refused when the model is built.
    - A head with an attribute ``uses_image`` gets the normalised image (N, C, H, W) after the
      feature maps, as their last entry.
    - With a head that has levels, such as :class:`HierarchicalUPerHead`, predictions carry
      ``pred_sem_seg_<level>`` (ids of the groups, 255 where the level does not apply) beside
      ``pred_sem_seg``, and ``levels`` in their meta information. ``seg_logits`` then holds the
      logits of the classes only.

    Args:
        **kwargs: See :class:`mmseg.models.segmentors.EncoderDecoder`.

    Raises:
        InputError: If a head does not fit the backbone, naming both.
    """

    _strides: tuple[int, ...] = ()  # of a backbone that does not round up

    def _init_decode_head(self, decode_head: Mapping[str, Any]) -> None:
        """Builds the decoder for the feature maps that the backbone gives."""
        super()._init_decode_head(self._connected(decode_head, "decode_head"))

    def _init_auxiliary_head(self, auxiliary_head: Any) -> None:
        """Builds the auxiliary heads, if any."""
        if isinstance(auxiliary_head, Sequence):
            auxiliary_head = [
                self._connected(head, f"auxiliary_head.{i}")
                for i, head in enumerate(auxiliary_head)
            ]
        elif auxiliary_head is not None:
            auxiliary_head = self._connected(auxiliary_head, "auxiliary_head")
        super()._init_auxiliary_head(auxiliary_head)

    def _connected(self, head: Mapping[str, Any], part: str) -> dict[str, Any]:
        """Fills what is 'auto' in a head's config, and verifies what is not."""
        head = dict(head)
        pyramid = self._pyramid()
        if not pyramid.rounds_up:
            self._strides = pyramid.strides
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
                f"model.backbone ({self._backbone_name()}) gives {len(pyramid.channels)}; "
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
                f"({self._backbone_name()}) gives {channels[0] if single else channels} in "
                f"feature maps {index}; in_channels='auto' takes what the backbone gives"
            )
        if head.get("in_strides") == AUTO:
            head["in_strides"] = [pyramid.strides[i] for i in wanted]
        if head.get("image_channels") == AUTO:
            head["image_channels"] = image_channels(self.backbone)
        return head

    def _backbone_name(self) -> str:
        """Returns the class of the backbone, with the name of the model where it wraps one."""
        name = getattr(self.backbone, "model_name", None)
        return type(self.backbone).__name__ + (f" {name}" if name else "")

    def _pyramid(self) -> Pyramid:
        """Asks the backbone what it gives; one that cannot tell is tried on an empty image."""
        channels = getattr(self.backbone, "out_channels", None)
        strides = getattr(self.backbone, "out_strides", None)
        if not self.with_neck and channels is not None and strides is not None:
            return Pyramid(tuple(channels), tuple(strides))
        in_channels = image_channels(self.backbone)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            features, odd = (
                super(HeritageEncoderDecoder, self).extract_feat(
                    torch.zeros(1, in_channels, side, side)
                )
                for side in (_PROBE, _ODD_PROBE)
            )
        self.train(was_training)
        strides = tuple(_PROBE // feature.shape[-1] for feature in features)
        sides = tuple(-(-_ODD_PROBE // stride) for stride in strides)
        return Pyramid(
            tuple(feature.shape[1] for feature in features),
            strides,
            tuple(feature.shape[-1] for feature in odd) == sides,
        )

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Returns the feature maps, and after them the image for a head that uses it.

        A map of stride s of an image (N, C, H, W) has ceil(H / s) x ceil(W / s) steps. For a
        backbone that leaves out the last pixels where they do not fill a step (mmpretrain's
        ConvNeXt) the image is filled up with zeros, the mean colour of a normalised image.
        """
        height, width = inputs.shape[2:]
        if self._strides:
            most = max(self._strides)
            filled = F.pad(inputs, (0, -width % most, 0, -height % most))
            features = tuple(
                feature[..., : -(-height // stride), : -(-width // stride)]
                for feature, stride in zip(super().extract_feat(filled), self._strides, strict=True)
            )
        else:
            features = super().extract_feat(inputs)
        if getattr(getattr(self, "decode_head", None), "uses_image", False):
            return (*features, inputs)
        return features

    def postprocess_result(self, seg_logits: Tensor, data_samples: Any = None) -> Any:
        """Brings scores to the size of the photograph and turns them into maps.

        Args:
            seg_logits: (N, K, H, W) scores of the decoder.
            data_samples: Samples to fill, or None.

        Returns:
            The samples, see the class.
        """
        samples = super().postprocess_result(seg_logits, data_samples)
        scores = getattr(self.decode_head, "scores", None)
        if scores is None:
            return samples
        for sample in samples:
            raw = sample.seg_logits.data[None]
            maps = scores.maps(raw)
            sample.set_data(
                {
                    "seg_logits": PixelData(data=scores.logits(raw)[FINE_LEVEL][0]),
                    "pred_sem_seg": PixelData(data=maps.pop(FINE_LEVEL)),
                    **{f"pred_sem_seg_{name}": PixelData(data=m) for name, m in maps.items()},
                }
            )
            sample.set_metainfo({"levels": scores.levels})
        return samples
