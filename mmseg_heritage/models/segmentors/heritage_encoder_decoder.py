"""EncoderDecoder that fits decoders to backbones and gives the maps of every level."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS, TASK_UTILS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones import TimmBackboneAdapter
from mmseg_heritage.models.backbones.attention import without_attention_weights
from mmseg_heritage.models.segmentors.building_checks import (
    check_losses,
    check_maps,
    check_normalization,
    expected_normalization,
)
from mmseg_heritage.models.segmentors.connecting import (
    AUTO,
    PROBE,
    Pyramid,
    as_list,
    backbone_name,
    connected,
    image_channels,
    maps_read,
)
from mmseg_heritage.models.segmentors.head_losses import head_losses
from mmseg_heritage.models.segmentors.predicted_samples import filled, with_maps, without_padding
from mmseg_heritage.models.segmentors.tuning import rest, tune_backbone
from mmseg_heritage.scores.class_calibration import ClassCalibration
from mmseg_heritage.scores.head_scores import HeadScores

_ODD_PROBE = PROBE + 1


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
    - Maps lie exactly over the image: feature maps are filled up to whole steps of the coarsest
      one, in training, in tests and in windows, so that neither a part of a decoder nor the
      enlarging of its scores stretches a map.
    - Photographs of any size and number are predicted as ``inference`` says. Samples carry
      ``pred_sem_seg``, uint8 (1, H, W) at the size of the photograph; with a head that has levels,
      such as :class:`HierarchicalUPerHead`, also ``pred_sem_seg_<level>`` (ids of the groups, 255
      where the level does not apply) and ``levels`` in their meta information. Scores of every
      pixel are kept only where ``inference`` asks for them: ``confidence``, or ``seg_logits`` of
      the classes and ``log_probabilities`` of all channels.

    Args:
        data_preprocessor: As in :class:`mmseg.models.segmentors.EncoderDecoder`, or with 'auto'.
        inference: Arguments of :class:`~mmseg_heritage.inference.window_inference.WindowInference`.
        test_cfg: Nothing, or ``dict(mode='whole')``, which mmsegmentation's configs hold:
            ``inference`` takes its place.
        dg: Penalties that make domains alike in training, see
            :class:`~mmseg_heritage.domains.penalties.DomainPenalties`.
        tune: What of the backbone is trained, see
            :func:`~mmseg_heritage.models.segmentors.tuning.tune_backbone`.
        adapter_rank: Rank of the adapters of ``tune='adapters'``.
        calibration: Arguments of
            :class:`~mmseg_heritage.scores.class_calibration.ClassCalibration`, which
            the command ``calibrate`` finds. Training does not use it.
        channels_last: Whether weights lie with their channels last, which makes feature maps lie so
            too: small convolutions are faster that way on a CPU. Checkpoints fit both ways.
        acc_seg: Whether training logs the accuracy of each head's scores, as mmsegmentation does.
        **kwargs: See :class:`mmseg.models.segmentors.EncoderDecoder`.

    Raises:
        InputError: If a head, a loss or the normalization does not fit, naming both sides.
    """

    tune = "all"

    def __init__(
        self,
        backbone: Mapping[str, Any],
        decode_head: Mapping[str, Any],
        data_preprocessor: Mapping[str, Any] | nn.Module | None = None,
        inference: Mapping[str, Any] | None = None,
        test_cfg: Mapping[str, Any] | None = None,
        dg: Sequence[Mapping[str, Any]] = (),
        tune: str = "all",
        adapter_rank: int = 8,
        calibration: Mapping[str, Any] | None = None,
        channels_last: bool = False,
        acc_seg: bool = False,
        **kwargs: Any,
    ) -> None:
        if dict(test_cfg or {}) not in ({}, {"mode": "whole"}):
            raise InputError(
                f"model.test_cfg={dict(test_cfg or {})} has no effect in a HeritageEncoderDecoder; "
                "give its windows as model.inference=dict(mode='window', crop=512, overlap=0.25)"
            )
        given = data_preprocessor if isinstance(data_preprocessor, Mapping) else {}
        automatic = [name for name in ("mean", "std") if given.get(name) == AUTO]
        if automatic:  # the base class builds it before there is a backbone to ask
            data_preprocessor = None
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            data_preprocessor=data_preprocessor,
            test_cfg=ConfigDict(mode="whole"),
            **kwargs,
        )
        # Registers WindowInference, whose room stands on this one.
        import_module("mmseg_heritage.inference.window_inference")
        self.window_inference = TASK_UTILS.build({"type": "WindowInference", **(inference or {})})
        self.acc_seg = acc_seg
        without_attention_weights(self.backbone)
        check_maps(self.decode_head, self._auxiliary_heads())
        if automatic:
            expected = {name: expected_normalization(self.backbone, name) for name in automatic}
            self.data_preprocessor = MODELS.build({**given, **expected})
        check_normalization(self.backbone, self.data_preprocessor)
        self._freeze_unread()
        tune_backbone(self.backbone, tune, adapter_rank, lambda: self._try((PROBE,)))
        self.tune = tune
        self._calibrate(calibration)
        if channels_last:
            self.to(memory_format=torch.channels_last)
        self.penalties = None
        if dg:
            import_module("mmseg_heritage.domains")  # registers them; it stands on this room
            arguments = {"type": "DomainPenalties", "penalties": dg, "head": self.decode_head}
            self.penalties = TASK_UTILS.build(arguments)

    def _calibrate(self, calibration: Mapping[str, Any] | None) -> None:
        """Lets all that reads the head's scores calibrate them."""
        if calibration:
            found = ClassCalibration(max(self.num_classes, 2), **calibration)
            if not found.keeps_classes and self.out_channels == 1:
                raise InputError(
                    "model.calibration: a head with one channel has a threshold for its class; "
                    "give a temperature"
                )
            self.decode_head.calibration = found

    def _freeze_unread(self) -> None:
        """Tells the backbone which of its feature maps the heads read, where not all."""
        if not isinstance(self.backbone, TimmBackboneAdapter) or self.with_neck:
            return
        pyramid = self._pyramid
        heads = [self.decode_head, *self._auxiliary_heads()]
        every = set(range(len(pyramid.channels)))
        if not any(every <= set(as_list(getattr(head, "in_index", ()))) for head in heads):
            image = image_channels(self.backbone)
            read = set[int]().union(*(maps_read(head, pyramid, image) for head in heads))
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
        super()._init_decode_head(
            connected(decode_head, "decode_head", self.backbone, self._pyramid)
        )
        check_losses({"decode_head": self.decode_head})

    def _init_auxiliary_head(self, auxiliary_head: Any) -> None:
        """Builds the auxiliary heads, if any."""
        if isinstance(auxiliary_head, Sequence):
            auxiliary_head = [
                connected(head, f"auxiliary_head.{i}", self.backbone, self._pyramid)
                for i, head in enumerate(auxiliary_head)
            ]
        elif auxiliary_head is not None:
            auxiliary_head = connected(
                auxiliary_head, "auxiliary_head", self.backbone, self._pyramid
            )
        super()._init_auxiliary_head(auxiliary_head)
        heads = self._auxiliary_heads()
        several = len(heads) > 1
        check_losses({"auxiliary_head" + several * f".{i}": head for i, head in enumerate(heads)})

    @cached_property
    def _pyramid(self) -> Pyramid:
        """What the backbone gives; one that cannot tell is tried on an empty image, once."""
        channels = getattr(self.backbone, "out_channels", None)
        strides = getattr(self.backbone, "out_strides", None)
        if not self.with_neck and channels is not None and strides is not None:
            by_size = getattr(self.backbone, "pads_by_size", False)
            return Pyramid(tuple(channels), tuple(strides), rounds_up=not by_size)
        features, odd = self._try((PROBE, _ODD_PROBE))
        steps = [feature.shape[-1] for feature in features]
        if any(PROBE % number for number in steps):
            raise InputError(
                f"model.backbone ({backbone_name(self.backbone)}) makes {steps} steps of "
                f"{PROBE} px; expected feature maps whose strides divide {PROBE}. timm's "
                "models have any stride, with a TimmBackboneAdapter"
            )
        strides = tuple(PROBE // number for number in steps)
        sides = tuple(-(-_ODD_PROBE // stride) for stride in strides)
        return Pyramid(
            tuple(feature.shape[1] for feature in features),
            strides,
            tuple(feature.shape[-1] for feature in odd) == sides,
        )

    def _try(self, sides: Sequence[int]) -> list[Sequence[Tensor]]:
        """Returns the feature maps of empty images of some sides in pixels."""
        channels, was_training = image_channels(self.backbone), self.training
        self.eval()
        with torch.no_grad():
            found = [super(HeritageEncoderDecoder, self).extract_feat(
                         torch.zeros(1, channels, side, side)) for side in sides]  # fmt: skip
        self.train(was_training)
        return found

    def train(self, mode: bool = True) -> HeritageEncoderDecoder:
        """Switches to training mode, but for what is frozen."""
        super().train(mode)
        if mode:
            rest(self.backbone, self.tune)
        return self

    @property
    def stride(self) -> int:
        """Pixels of the image for each step of the coarsest feature map."""
        return max(self._pyramid.strides)

    @property
    def input_multiple(self) -> int:
        """Pixels of which the sides of windows within an image are a multiple.

        So the backbone pads nothing there.
        """
        sizes = getattr(self.backbone, "input_sizes", None)
        return math.lcm(self.stride, *(sizes.multiple if sizes else ()))

    def extract_feat(self, inputs: Tensor) -> Sequence[Tensor]:
        """Returns the feature maps, and after them the image for a head that uses it.

        A backbone gives ceil(L / s) steps of stride s for a side of L pixels. They are filled up to
        whole steps of the coarsest map: then each map has exactly as many steps as its stride says,
        and no part of any head stretches one over another. The backbone itself sees no padding, but
        where an image is smaller than a step of the coarsest map, where it leaves out the last
        pixels that do not fill a step (mmpretrain's ConvNeXt), or where its steps would lie
        elsewhere ('same' padding, as in timm's ``tf_efficientnet``).

        Args:
            inputs: (N, C, H, W).
        """
        height, width = self.whole_size(inputs)
        if self._pyramid.rounds_up:
            least = max(inputs.shape[2], self.stride), max(inputs.shape[3], self.stride)
        else:
            least = height, width
        found = super().extract_feat(filled(inputs, least))
        features = tuple(
            filled(feature, (height // stride, width // stride))
            for feature, stride in zip(found, self._pyramid.strides, strict=True)
        )
        if getattr(self.decode_head, "uses_image", False):
            return (*features, filled(inputs, (height, width)))
        return features

    def whole_size(self, inputs: Tensor) -> tuple[int, int]:
        """Returns the height and width of images (N, C, H, W), rounded up to whole steps."""
        height, width = (-(-side // self.stride) * self.stride for side in inputs.shape[2:])
        return height, width

    def loss(self, inputs: Tensor, data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Computes the losses; labels are filled up to whole steps by the ignored id, 255.

        Args:
            inputs: (N, C, H, W).
            data_samples: With ``gt_sem_seg``, uint8 or int64 (1, H, W).
        """
        size = self.whole_size(inputs)
        margin = (0, size[1] - inputs.shape[3], 0, size[0] - inputs.shape[2])
        data_samples = [copy.copy(sample) for sample in data_samples]
        for sample in data_samples:
            label = sample.gt_sem_seg.data.long()
            if any(margin):
                label = F.pad(label, margin, value=self.decode_head.ignore_index)
            sample.gt_sem_seg = PixelData(data=label)
        compute = partial(super().loss, inputs, data_samples)
        if self.penalties is None:
            return compute()
        found: dict[str, Tensor] = self.penalties.add_to(compute, data_samples)
        return found

    def _decode_head_forward_train(
        self, inputs: Sequence[Tensor], data_samples: Sequence[Any]
    ) -> dict[str, Tensor]:
        """Computes the losses of the decoder."""
        return self._losses_of({"decode": self.decode_head}, inputs, data_samples)

    def _auxiliary_head_forward_train(
        self, inputs: Sequence[Tensor], data_samples: Sequence[Any]
    ) -> dict[str, Tensor]:
        """Computes the losses of the auxiliary heads."""
        several = isinstance(self.auxiliary_head, nn.ModuleList)
        heads = {
            f"aux_{i}" if several else "aux": head for i, head in enumerate(self._auxiliary_heads())
        }
        return self._losses_of(heads, inputs, data_samples)

    def _losses_of(
        self, heads: Mapping[str, nn.Module], inputs: Sequence[Tensor], samples: Sequence[Any]
    ) -> dict[str, Tensor]:
        """Returns the losses of heads, ``<prefix>.<name>`` -> value."""
        return {
            f"{prefix}.{name}": value
            for prefix, head in heads.items()
            for name, value in head_losses(
                head, inputs, samples, self.train_cfg, self.acc_seg
            ).items()
        }

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Returns the decoder's scores of every pixel, (N, K, H, W), of images (N, C, H, W)."""
        size = torch.Size(self.whole_size(inputs))
        metas = [{**meta, "img_shape": size, "pad_shape": size} for meta in batch_img_metas]
        scores: Tensor = super().encode_decode(inputs, metas)
        return scores[..., : inputs.shape[2], : inputs.shape[3]]

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Any:
        """Returns the scores at the decoder's resolution, (N, K, ceil(H / s), ceil(W / s))."""
        scores = super()._forward(inputs, data_samples)
        if not isinstance(scores, Tensor):
            return scores
        rows, columns = (
            math.ceil(side * steps / whole)
            for side, steps, whole in zip(
                inputs.shape[2:], scores.shape[2:], self.whole_size(inputs), strict=True
            )
        )
        return scores[..., :rows, :columns]

    def test_step(self, data: Mapping[str, Any]) -> list[Any]:
        """Predicts photographs of any sizes.

        Args:
            data: 'inputs', a list of images (C, H, W) as the pipeline packs them, or a tensor of
                several; 'data_samples', one for each.

        Returns:
            The samples with predictions, see the class.
        """
        found: list[Any] = self._run_forward(dict(data), mode="photographs")
        return found

    val_step = test_step

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """Runs the model in one of its modes.

        Args:
            inputs: (N, C, H, W), normalized; in the mode 'photographs' images as pipelines pack
                them, of any sizes.
            data_samples: One for each image, or None.
            mode: 'loss', 'predict' or 'tensor' of mmsegmentation, or 'photographs', which tests and
                validation run: so torch's forward hooks see all that the model does.
        """
        if mode != "photographs":
            return super().forward(inputs, data_samples, mode)
        samples = data_samples or [SegDataSample() for _ in inputs]
        return [
            self._predicted(image, sample, None)
            for image, sample in zip(inputs, samples, strict=True)
        ]

    def predict(self, inputs: Tensor, data_samples: Sequence[Any] | None = None) -> list[Any]:
        """Predicts images that are normalized already.

        Args:
            inputs: (N, C, H, W).
            data_samples: One for each image, or None.

        Returns:
            The samples with predictions, see the class.
        """
        samples = data_samples or [SegDataSample() for _ in inputs]
        return [
            self._predicted(without_padding(image, sample), sample, lambda part: part)
            for image, sample in zip(inputs, samples, strict=True)
        ]

    def _predicted(self, image: Tensor, sample: Any, prepare: Any) -> Any:
        """Returns the sample of an image with its maps, which have the size of its photograph."""
        sample = sample.new()
        size = tuple(sample.metainfo.get("ori_shape", image.shape[1:]))
        try:
            found = self.window_inference(self, image, size, prepare)
        except InputError as error:
            name = sample.metainfo.get("img_path") or "the image"
            raise InputError(f"{name}: {error}") from error
        return with_maps(sample, found, HeadScores(self.decode_head))
