"""Any timm network with a feature pyramid as a backbone, at any image size."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import timm
from mmengine.logging import MMLogger
from mmengine.model import BaseModule, PretrainedInit, initialize
from mmseg.registry import MODELS
from timm.models import group_parameters
from torch import Tensor, nn

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones.padding import (
    describe_change,
    measure_dependence,
    measure_input_sizes,
    run_at_any_size,
)
from mmseg_heritage.models.backbones.timm_names import check_model_name
from mmseg_heritage.models.backbones.timm_weights import (
    load_file_into,
    load_from_hub_into,
    match_names,
)

ALL = "all"
_FIRST_STRIDE = 4  # of the levels that decode heads read
_FIXED_ARGUMENTS = {
    "features_only": "it is always true",
    "in_chans": "it is called in_channels here",
    "num_classes": "there is no classifier",
}


_T = TypeVar("_T")
_MEASUREMENTS: dict[tuple[str, str, str, tuple[int, ...]], Any] = {}


@MODELS.register_module()
class TimmBackboneAdapter(BaseModule):
    """Feature pyramid of a timm network, for mmsegmentation's decode heads.

    **Levels.** Channels and strides come from timm's ``feature_info``; as ``out_channels`` and
    ``out_strides`` they are what a decode head needs to know. Networks that compute in NHWC (Swin,
    MambaOut) give NCHW as all others.

    **Image sizes.** Images of any size are taken, and a level of stride s has
    ceil(H / s) x ceil(W / s) positions. What the network itself takes is measured when it is built
    (:mod:`~mmseg_heritage.models.backbones.padding`); the image is padded to that at the bottom and
    the right with zeros, the mean color of a normalized image, and the features are cropped.
    ResNet, EfficientNet: no padding. Swin: to a multiple of 4 (it pads its windows itself).
    ConvNeXt, CoaT: of 32. MaxViT: of ``img_size``, whose 32nd part is the window. Networks whose
    attention spans a fixed image (CoAtNet, Hiera) take exactly ``img_size``; larger images are cut
    into tiles of that size, which do not see each other. For these and for MaxViT, an ``img_size``
    equal to the training crop is the natural choice. The first image that is cut, or padded by more
    than 32 pixels, is logged.

    **Weights.** Building loads nothing; :meth:`init_weights` does, which mmengine calls before
    training and not before testing. timm converts what is loaded: position tables are resampled to
    ``img_size``, and files of the original authors are renamed, wherever timm does so for its own.
    For more than three ``in_channels`` the first layer keeps the weights of R, G and B and gets
    their average for each further channel, for fewer the average alone; all are scaled by
    3 / ``in_channels``, so that an image of equal channels gives the same response.

    Args:
        model_name: As in ``timm.list_models()``, also with a tag ('resnet50.a1_in1k').
        out_indices: Levels to return, ascending, negative ones from the end. None: all of stride 4
            and more, also where the network has a level of stride 2 (MaxViT, ResNet). 'all': that
            too, for U-Net. [-1] of a plain vision transformer, for a ``SimpleFeaturePyramid``.
        img_size: Image size to build for, one number or (H, W). None: that of timm's weights.
            Networks for which it has no meaning, such as ResNet, refuse it.
        in_channels: Channels of the image.
        pretrained: Whether to take timm's weights, from its cache or by download. Under distributed
            training the main process downloads first.
        checkpoint_path: File of weights, ``.pth`` or ``.safetensors``: timm's, those of a
            segmentor or backbone saved by mmengine, or those for mmseg's ``TIMMBackbone``.
        frozen_stages: -1: nothing is frozen. 0: the stem is. n: everything is that the n-th level
            of stride 4 and more is computed from. Frozen parts stay in eval mode.
        norm_eval: Whether all layers with running statistics stay in eval mode.
        with_cp: Whether to save memory by computing activations again in the backward pass.
        drop_path_rate: Rate of stochastic depth (Huang et al., ECCV 2016, arXiv:1603.09382), from
            0 to below 1.
        init_cfg: mmengine's; ``dict(type='Pretrained', checkpoint=FILE, prefix=...)`` is loaded as
            ``checkpoint_path`` is.
        **kwargs: Further arguments of the network, such as ``output_stride=8`` of a ResNet.

    Attributes:
        out_indices, out_channels, out_strides: Of the levels that are returned.
        img_size: (H, W) that the network is built for.
        input_sizes: Which sizes the network itself takes.
        pads_by_size: Whether steps lie elsewhere over an image of odd size: 'same' padding of
            TensorFlow adds a pixel before the image there, and none where the size is even.
        pixel_mean, pixel_std: Mean and standard deviation of R, G and B, in 0..255, that timm's
            weights expect the image to be normalized with.

    Raises:
        InputError: If timm has no such model, or the arguments do not fit it.
    """

    _is_init: bool  # BaseModule's

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int] | str | None = None,
        img_size: int | Sequence[int] | None = None,
        in_channels: int = 3,
        pretrained: bool = False,
        checkpoint_path: str | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        drop_path_rate: float = 0.0,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(init_cfg)
        check_model_name(model_name)
        self.model_name = model_name
        self.in_channels = in_channels
        self.pretrained = pretrained
        self.checkpoint_path = checkpoint_path
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self._check_arguments(drop_path_rate, kwargs)
        self._arguments: dict[str, Any] = {"in_chans": in_channels, **kwargs}
        if img_size is not None:
            self._arguments["img_size"] = _height_and_width(img_size)
        if drop_path_rate:
            self._arguments["drop_path_rate"] = drop_path_rate

        info = self._create_first().feature_info.info
        self._choose_levels(out_indices, info)
        self.timm_model = self._create(out_indices=self.out_indices)
        # Conv2dSame, MaxPool2dSame, StdConv2dSame, ...
        kinds = {type(module).__name__ for module in self.timm_model.modules()}
        self.pads_by_size = any(kind.endswith("Same") for kind in kinds)
        cfg = self.timm_model.pretrained_cfg
        height, width = self._arguments.get("img_size", cfg["input_size"][1:])
        self.img_size = (height, width)
        self.pixel_mean = tuple(255 * value for value in cfg["mean"])
        self.pixel_std = tuple(255 * value for value in cfg["std"])
        self.input_sizes = self._measured(
            "input sizes",
            lambda: measure_input_sizes(
                self.timm_model, model_name, self.out_strides, in_channels, self.img_size
            ),
        )
        self._size_change_logged = False  # whether an image that is much changed has been logged
        self._frozen_modules = self._freeze(frozen_stages)
        if with_cp:  # last: torch 2.1 cannot checkpoint on the device of the measurements
            self._turn_checkpointing(True)
        self.train(self.training)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Computes the features of a batch of images.

        Args:
            x: (N, in_channels, H, W), normalized.

        Returns:
            For each level of stride s: (N, channels, ceil(H / s), ceil(W / s)).
        """
        if not self._size_change_logged and not x.is_meta:
            self._log_size_change(x.shape[-2], x.shape[-1])
        return tuple(run_at_any_size(self.timm_model, x, self.out_strides, self.input_sizes))

    def train(self, mode: bool = True) -> TimmBackboneAdapter:
        """Switches to training mode, but for what is frozen."""
        super().train(mode)
        if mode:
            for name in self._frozen_modules:
                self.timm_model.get_submodule(name).eval()
        if mode and self.norm_eval:
            for module in self.timm_model.modules():
                # Layers without running statistics do the same in both modes.
                if getattr(module, "running_var", None) is not None:
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Loads the weights that were asked for; without any, timm's initialization stays.

        Raises:
            InputError: If they cannot be had, or are not those of this network.
        """
        if self._is_init:
            return
        self._is_init = True
        initialize(self, [cfg for cfg in self._init_cfgs() if not _is_pretrained(cfg)])
        if self.pretrained:
            load_from_hub_into(self.timm_model, self._recreate, self.model_name)
        if self.checkpoint_path is not None:
            self.load_weights(self.checkpoint_path)
        for cfg in filter(_is_pretrained, self._init_cfgs()):
            self.load_weights(cfg["checkpoint"], cfg.get("prefix") or "")

    def load_weights(self, path: str, prefix: str = "") -> None:
        """Loads weights from a file, and logs what was missing and what was left out.

        Args:
            path: See ``checkpoint_path`` of the class.
            prefix: Only what is under this prefix in the file.

        Raises:
            InputError: If the file cannot be read, is for another number of channels, a tensor has
                another shape after timm's conversion, or fewer than half of the network's tensors
                are in the file.
        """
        load_file_into(
            self.timm_model, self._recreate, self.model_name, self.in_channels, path, prefix
        )

    def train_only(self, maps: Collection[int]) -> None:
        """Freezes what no other feature map than these is computed from.

        Distributed training would wait for gradients that never come.

        Args:
            maps: Which of the returned maps are read, counted from 0.
        """
        if self.with_cp:
            self._turn_checkpointing(False)  # see the constructor
        used = self._measured(
            f"used by {sorted(maps)}",
            lambda: measure_dependence(self.timm_model, self.in_channels, self.img_size, maps),
        )
        if self.with_cp:
            self._turn_checkpointing(True)
        for name, parameter in self.timm_model.named_parameters():
            parameter.requires_grad_(name in used)

    def _measured(self, what: str, measure: Callable[[], _T]) -> _T:
        """Returns what was measured on a network of the same name and arguments in this process.

        A run builds its model several times, and a measurement takes as long as some iterations.
        """
        arguments = repr(sorted(self._arguments.items()))
        key = (what, self.model_name, arguments, self.out_indices)
        if key not in _MEASUREMENTS:
            _MEASUREMENTS[key] = measure()
        return _MEASUREMENTS[key]

    def layer_ids(self) -> dict[str, int]:
        """Returns the depth of each parameter: 0 in the stem, then counting up.

        Raises:
            InputError: If timm does not tell the layers of this network.
        """
        network = self._create(features_only=False)
        try:
            ids = group_parameters(network, network.group_matcher(coarse=False), reverse=True)
        except (AttributeError, AssertionError) as error:
            raise InputError(
                f"{self.model_name}: timm does not tell its layers (there is no group_matcher), "
                "which frozen_stages=0 and learning rates by layer need; choose another model"
            ) from error
        names = match_names(dict(self.timm_model.named_parameters()), ids)
        depths = sorted({ids[name] for name in names.values()})
        return {f"timm_model.{own}": depths.index(ids[name]) for own, name in names.items()}

    def no_weight_decay(self) -> set[str]:
        """Returns the parameters that timm trains without weight decay, such as position tables."""
        network = self._create(features_only=False)
        listed = set(network.no_weight_decay()) if hasattr(network, "no_weight_decay") else set()
        names = match_names(dict(self.timm_model.named_parameters()), listed)
        return {f"timm_model.{own}" for own in names}

    def _check_arguments(self, drop_path_rate: float, kwargs: dict[str, Any]) -> None:
        """Raises for arguments that cannot be right for any network."""
        problems = [
            f"{name}: cannot be set, {reason}"
            for name, reason in _FIXED_ARGUMENTS.items()
            if name in kwargs
        ]
        if type(self.in_channels) is not int or self.in_channels < 1:
            problems.append(f"in_channels={self.in_channels!r}, expected a whole number from 1")
        if not 0 <= drop_path_rate < 1:
            problems.append(f"drop_path_rate={drop_path_rate!r}, expected 0 to below 1")
        sources = [self.pretrained, self.checkpoint_path is not None]
        sources += [_is_pretrained(cfg) for cfg in self._init_cfgs()]
        if sum(map(bool, sources)) > 1:
            problems.append("pretrained, checkpoint_path, init_cfg: give one source of weights")
        if problems:
            raise InputError(f"TimmBackboneAdapter of {self.model_name} cannot be built.", problems)

    def _init_cfgs(self) -> list[dict[str, Any]]:
        cfgs = self.init_cfg or []
        return [cfgs] if isinstance(cfgs, dict) else list(cfgs)

    def _create(self, **arguments: Any) -> nn.Module:
        """Makes the network, by default in timm's feature wrapper, without loading weights."""
        return timm.create_model(
            self.model_name, **{"features_only": True, **self._arguments, **arguments}
        )

    def _recreate(self, **arguments: Any) -> nn.Module:
        """Makes another network with the levels of this one."""
        if arguments.get("features_only", True):
            arguments["out_indices"] = self.out_indices
        return self._create(**arguments)

    def _create_first(self) -> nn.Module:
        """Makes the network with timm's choice of levels, and finds out which arguments it takes.

        Raises:
            InputError: If timm cannot make it.
        """
        try:
            if "strict_img_size" not in self._arguments:
                try:  # networks that check the image size, but need not (Swin)
                    network = self._create(strict_img_size=False)
                    self._arguments["strict_img_size"] = False
                    return network
                except TypeError as error:
                    if "strict_img_size" not in str(error):
                        raise
            return self._create()
        except Exception as error:  # constructors refuse arguments with whatever fails first
            given = {name: value for name, value in self._arguments.items() if name != "in_chans"}
            raise InputError(
                f"timm cannot build {self.model_name} as a feature pyramid with in_channels="
                f"{self.in_channels} and the further arguments {given or 'none'} "
                f"({type(error).__name__}: {error}). Leave out or change what it does not take"
            ) from error

    def _choose_levels(
        self, out_indices: Sequence[int] | str | None, info: list[dict[str, Any]]
    ) -> None:
        """Sets which levels are returned, with their channels and strides."""
        strides = [level["reduction"] for level in info]
        if len(set(strides)) < 2 and out_indices in (None, ALL):
            raise InputError(
                f"{self.model_name} has no feature pyramid: its features are all of stride "
                f"{strides[0]}. Choose a model with several strides, such as "
                "convnext_tiny, swin_tiny_patch4_window7_224 or resnet50; or take its last map, "
                "out_indices=[-1], and a neck of type SimpleFeaturePyramid"
            )
        self._stages = tuple(i for i, stride in enumerate(strides) if stride >= _FIRST_STRIDE)
        indices: tuple[Any, ...] = self._stages if out_indices is None else tuple(out_indices)
        if out_indices == ALL:
            indices = tuple(range(len(info)))
        valid = all(isinstance(i, int) and -len(info) <= i < len(info) for i in indices)
        self.out_indices = tuple(i % len(info) for i in indices) if valid else ()
        if not self.out_indices or list(self.out_indices) != sorted(set(self.out_indices)):
            raise InputError(
                f"out_indices={indices}: expected ascending indices of {self.model_name}'s levels, "
                f"which are 0..{len(info) - 1} of strides {', '.join(map(str, strides))}"
            )
        self.out_channels = tuple(info[index]["num_chs"] for index in self.out_indices)
        self.out_strides = tuple(strides[index] for index in self.out_indices)

    def _log_size_change(self, height: int, width: int) -> None:
        """Logs, once, what becomes of an image of a size that the network takes badly."""
        change = describe_change((height, width), self.input_sizes)
        if change is not None:
            self._size_change_logged = True
            MMLogger.get_current_instance().info(
                f"{self.model_name}, built for img_size={self.img_size}: an image of {height} x "
                f"{width} px is {change}; later ones are treated alike, which is not logged"
            )

    def _turn_checkpointing(self, on: bool) -> None:
        network = self.timm_model
        if not hasattr(network, "set_grad_checkpointing"):
            network = getattr(network, "model", network)  # inside FeatureGetterNet
        try:
            network.set_grad_checkpointing(on)
        except (AttributeError, AssertionError) as error:
            raise InputError(
                f"{self.model_name} cannot compute activations again in the backward pass; use "
                "with_cp=False"
            ) from error

    def _freeze(self, stages: int) -> tuple[str, ...]:
        """Freezes the first stages and returns the names of the modules in them.

        What no output depends on is frozen too: distributed training would wait for its gradients.
        """
        if not -1 <= stages <= len(self._stages):
            raise InputError(
                f"frozen_stages={stages}: expected -1 (none), 0 (the stem) or the number of stages "
                f"to freeze, up to {len(self._stages)} for {self.model_name}"
            )
        parameters = dict(self.timm_model.named_parameters())
        used = self._measured(
            "used", lambda: measure_dependence(self.timm_model, self.in_channels, self.img_size)
        )
        frozen: set[str] = set()
        if stages == 0:
            frozen = {
                name.removeprefix("timm_model.") for name, i in self.layer_ids().items() if i == 0
            }
        elif stages > 0:
            whole = self._create(out_indices=self._stages)
            frozen = measure_dependence(whole, self.in_channels, self.img_size, (stages - 1,))
        for name, parameter in parameters.items():
            if name in frozen or name not in used:
                parameter.requires_grad_(False)
        return tuple(
            name
            for name, module in self.timm_model.named_modules()
            if name and _has_only(module, f"{name}.", frozen)
        )


def _has_only(module: nn.Module, prefix: str, names: set[str]) -> bool:
    """Whether a module has parameters, and only those named."""
    own = [prefix + name for name, _ in module.named_parameters()]
    return bool(own) and names.issuperset(own)


def _height_and_width(img_size: int | Sequence[int]) -> tuple[int, int]:
    sides = (img_size, img_size) if isinstance(img_size, int) else tuple(img_size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise InputError(f"img_size={img_size!r}: expected one whole number of pixels, or (H, W)")
    return sides


def _is_pretrained(cfg: dict[str, Any]) -> bool:
    return cfg.get("type") in ("Pretrained", PretrainedInit)
