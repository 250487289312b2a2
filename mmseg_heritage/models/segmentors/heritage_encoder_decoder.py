"""EncoderDecoder that fits decoders to backbones and gives the maps of every level."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from numpy.typing import NDArray
from torch import Tensor, nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter
from mmseg_heritage.models.decode_heads import HierarchicalUPerHead
from mmseg_heritage.models.losses.masked_loss import MaskedLoss
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
    """Returns the channels of the images that a backbone takes.

    Those that a :class:`TimmBackboneAdapter` states, or those of the first convolution; R, G and B
    where there is none.
    """
    if isinstance(backbone, TimmBackboneAdapter):
        return backbone.in_channels
    convolutions = (m.in_channels for m in backbone.modules() if isinstance(m, nn.Conv2d))
    return int(next(convolutions, 3))


def _as_list(index: int | Sequence[int]) -> list[int]:
    return [index] if isinstance(index, int) else list(index)


def _maps_read(head: nn.Module, pyramid: Pyramid, image_channels: int) -> set[int]:
    """Finds out which feature maps the output of a head depends on.

    Heads such as DeepLabV3+'s read more than their ``in_index`` says; so it is tried.

    Args:
        head: Decode head.
        pyramid: What the backbone gives.
        image_channels: Channels of the image, for a head that uses it.
    """
    probe = copy.deepcopy(head).to("meta").eval()
    maps = [
        torch.empty(1, channels, _PROBE // stride, _PROBE // stride, device="meta").requires_grad_()
        for channels, stride in zip(pyramid.channels, pyramid.strides, strict=True)
    ]
    image = torch.empty(1, image_channels, _PROBE, _PROBE, device="meta")
    try:
        with torch.enable_grad():
            output = probe((*maps, image) if getattr(head, "uses_image", False) else tuple(maps))
        gradients = torch.autograd.grad(output.sum(), maps, allow_unused=True)
    except Exception:  # heads that return something else, or need content: they may read all
        return set(range(len(maps)))
    return {i for i, gradient in enumerate(gradients) if gradient is not None}


def _check_losses(heads: Mapping[str, nn.Module]) -> None:
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


@MODELS.register_module()
class HeritageEncoderDecoder(EncoderDecoder):
    """mmsegmentation's EncoderDecoder with connected parts and hierarchical predictions.

    - A head whose ``in_channels`` is ``'auto'`` takes them from the backbone, for all feature maps
      or for those of its ``in_index``; the same holds for ``in_strides`` and ``image_channels``,
      where a head has them, and for ``c1_in_channels`` of DeepLabV3+, of the first feature map.
      Numbers that disagree with the backbone are refused when the model is built, as are losses
      with weights for another number of classes.
    - ``mean`` and ``std`` of the ``data_preprocessor`` may be ``'auto'``: those that timm's weights
      of a :class:`TimmBackboneAdapter` expect. Each needs a number for every channel of the image.
    - Parts of a :class:`TimmBackboneAdapter` that only serve feature maps which no head reads are
      frozen, since distributed training would wait for their gradients.
    - A head with an attribute ``uses_image`` gets the normalized image (N, C, H, W) after the
      feature maps, as their last entry.
    - With a head that has levels, such as :class:`HierarchicalUPerHead`, predictions carry
      ``pred_sem_seg_<level>`` (ids of the groups, 255 where the level does not apply) beside
      ``pred_sem_seg``, and ``levels`` in their meta information. ``seg_logits`` then holds the
      logits of the classes only.

    Args:
        data_preprocessor: As in :class:`mmseg.models.segmentors.EncoderDecoder`, or with 'auto'.
        **kwargs: See :class:`mmseg.models.segmentors.EncoderDecoder`.

    Raises:
        InputError: If a head, a loss or the normalization does not fit, naming both sides.
    """

    keeps_scores = False
    """Whether samples keep the decoder's scores of all levels as ``scores``, to be merged."""
    _strides: tuple[int, ...] = ()  # of a backbone that does not round up

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        data_preprocessor: Mapping[str, Any] | nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        given = data_preprocessor if isinstance(data_preprocessor, Mapping) else {}
        automatic = [name for name in ("mean", "std") if given.get(name) == AUTO]
        if automatic:  # the base class builds it before there is a backbone to ask
            data_preprocessor = None
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            data_preprocessor=data_preprocessor,
            **kwargs,
        )
        if automatic:
            filled = {**given, **{name: self._expected(name) for name in automatic}}
            self.data_preprocessor = MODELS.build(filled)
        self._check_normalization()
        self._freeze_unread()

    def _expected(self, name: str) -> list[float]:
        """Returns the mean or std that the weights of the backbone expect."""
        if not isinstance(self.backbone, TimmBackboneAdapter):
            raise InputError(
                f"model.data_preprocessor.{name}='auto' asks a TimmBackboneAdapter, but "
                f"model.backbone is a {self._backbone_name()}; give a number for each channel"
            )
        return list(getattr(self.backbone, f"pixel_{name}"))

    def _check_normalization(self) -> None:
        """Verifies that mean and std are for the channels that the backbone takes."""
        channels = image_channels(self.backbone)
        problems = []
        for name in ("mean", "std"):
            values = getattr(self.data_preprocessor, name, None)
            if values is not None and len(values) not in (1, channels):
                problems.append(f"model.data_preprocessor.{name} has {len(values)} numbers")
        if problems:
            raise InputError(
                f"model.backbone ({self._backbone_name()}) takes images of {channels} channels; "
                f"give mean and std 1 or {channels} numbers each, and let the pipelines load "
                f"images of {channels} channels",
                problems,
            )

    def _freeze_unread(self) -> None:
        """Tells the backbone which of its feature maps the heads read, where not all."""
        if not isinstance(self.backbone, TimmBackboneAdapter) or self.with_neck:
            return
        pyramid = self._pyramid()
        heads = [self.decode_head, *self._auxiliary_heads()]
        every = set(range(len(pyramid.channels)))
        if not any(every <= set(_as_list(getattr(head, "in_index", ()))) for head in heads):
            image = image_channels(self.backbone)
            read = set[int]().union(*(_maps_read(head, pyramid, image) for head in heads))
            if read < every:
                self.backbone.train_only(read)

    def _auxiliary_heads(self) -> list[nn.Module]:
        """Returns the auxiliary heads, one or several or none, as a list."""
        if not self.with_auxiliary_head:
            return []
        found = self.auxiliary_head
        return list(found) if isinstance(found, nn.ModuleList) else [found]

    def _init_decode_head(self, decode_head: Mapping[str, Any]) -> None:
        """Builds the decoder for the feature maps that the backbone gives."""
        super()._init_decode_head(self._connected(decode_head, "decode_head"))
        _check_losses({"decode_head": self.decode_head})

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
        heads = self._auxiliary_heads()
        several = len(heads) > 1
        _check_losses({"auxiliary_head" + several * f".{i}": head for i, head in enumerate(heads)})

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
        c1, first = head.get("c1_in_channels"), pyramid.channels[0]  # DepthwiseSeparableASPPHead
        if c1 == AUTO:
            head["c1_in_channels"] = first
        elif c1 and c1 != first:
            raise InputError(
                f"model.{part} ({head['type']}) expects c1_in_channels={c1}, but model.backbone "
                f"({self._backbone_name()}) gives {first} in its first feature map; "
                "c1_in_channels='auto' takes what the backbone gives"
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
        ConvNeXt) the image is filled up with zeros, the mean color of a normalized image.
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
            logits = scores.logits(raw)
            maps = scores.choose(logits)
            sample.set_data(
                {
                    "seg_logits": PixelData(data=logits[FINE_LEVEL][0]),
                    "pred_sem_seg": PixelData(data=maps.pop(FINE_LEVEL)),
                    **{f"pred_sem_seg_{name}": PixelData(data=m) for name, m in maps.items()},
                }
            )
            sample.set_metainfo({"levels": scores.levels})
            if self.keeps_scores:
                sample.set_data({"scores": PixelData(data=raw[0])})
        return samples


def class_ids(pixel_data: PixelData) -> NDArray[np.uint8]:
    """Returns the ids of a map in a sample as uint8 (H, W)."""
    return pixel_data.data.squeeze(0).cpu().numpy().astype(np.uint8)
