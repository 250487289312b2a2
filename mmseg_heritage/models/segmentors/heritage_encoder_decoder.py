"""EncoderDecoder that fits decoders to backbones and gives the maps of every level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_heritage.errors import InputError
from mmseg_heritage.taxonomy import FINE_LEVEL

AUTO = "auto"
_PROBE = 64  # pixels; strides up to 32 give whole feature maps


@dataclass(frozen=True)
class Pyramid:
    """What a backbone (with its neck) gives to the decoders.

    Attributes:
        channels: Channels of each feature map.
        strides: Pixels of the image for each step in it.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]


@MODELS.register_module()
class HeritageEncoderDecoder(EncoderDecoder):
    """mmsegmentation's EncoderDecoder with connected parts and hierarchical predictions.

    - A head whose ``in_channels`` is ``'auto'`` takes them from the backbone, for all feature maps
      or for those of its ``in_index``; the same holds for ``in_strides``, where a head has it.
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
        if head.get("in_index") is None and head.get("in_channels") == AUTO:
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
        channels = [pyramid.channels[i] for i in wanted]
        given = head.get("in_channels")
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
        in_channels = getattr(self.backbone, "in_channels", 3)
        was_training = self.training
        self.eval()
        with torch.no_grad():
            features = self.extract_feat(torch.zeros(1, in_channels, _PROBE, _PROBE))
        self.train(was_training)
        return Pyramid(
            tuple(feature.shape[1] for feature in features),
            tuple(_PROBE // feature.shape[-1] for feature in features),
        )

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Returns the feature maps, and after them the image for a head that uses it."""
        features: Sequence[Tensor] = super().extract_feat(inputs)
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
