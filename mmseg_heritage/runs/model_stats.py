"""Parameters, operations and feature levels of the models that configs describe.

Nothing is computed: the model runs on torch's ``meta`` device, where tensors have shapes and no
content. FLOPs are counted by :class:`torch.utils.flop_counter.FlopCounterMode`, operator by
operator as torch executes them. mmengine's ``get_model_complexity_info`` takes
``scaled_dot_product_attention``, which timm's networks use, for nothing. The counter itself misses
what torch fuses into operators that it does not know, such as the fast path of
``nn.MultiheadAttention`` or attention on the CPU in some releases; on the ``meta`` device, with
gradients, attention is a sequence of matrix products (tests hold it to that).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmseg_heritage.errors import InputError
from mmseg_heritage.models.segmentors.connecting import image_channels
from mmseg_heritage.runs.build import build_model, gathered
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.config.variables import VARIABLES
from mmseg_heritage.runs.pretrained import mit_name
from mmseg_heritage.utils.progress import Bar, no_bar

CONVENTION = (
    "FLOPs are 2 x the multiply-adds of convolutions, matrix products and attention in one forward "
    "pass of one image, without auxiliary heads. Norms, activations and resizing are not counted."
)
_PROBE = 64  # pixels; strides up to 32 give whole feature maps
_LEFT_OUT = ("pretrained", "checkpoint_path", "with_cp")


@dataclass(frozen=True)
class ModelStats:
    """What a config's model has and does.

    Attributes:
        config: Name of the config file, without its suffix.
        size: Height and width of the image that FLOPs are counted for, in pixels.
        parameters: Number of parameters of the 'backbone' (with its neck), the 'head' and the
            'auxiliary' heads, frozen ones included.
        flops: FLOPs of the 'backbone' and the 'head', see :data:`CONVENTION`. What a backbone
            pads the image with is counted, since it is computed.
        backbone: Name of the network.
        channels: Channels of each of the backbone's feature maps.
        strides: Pixels of the image for each step in them.
        image_sizes: Image sizes that the network takes by itself, in words.
    """

    config: str
    size: tuple[int, int]
    parameters: Mapping[str, int]
    flops: Mapping[str, int]
    backbone: str
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    image_sizes: str


def count_flops(function: Callable[..., Any], *inputs: Any) -> int:
    """Counts the FLOPs of a call, see :data:`CONVENTION`.

    Args:
        function: A module in eval mode, or a method of one, on the ``meta`` device.
        *inputs: What to call it with, on the same device.
    """
    with torch.enable_grad(), FlopCounterMode(display=False) as counter:
        function(*inputs)
    return int(counter.get_total_flops())


def count_parameters(module: nn.Module | None) -> int:
    """Counts the parameters of a module, shared ones once; 0 for none."""
    return 0 if module is None else sum(p.numel() for p in module.parameters())


def measure_model(
    path: str | Path,
    size: int | Sequence[int] | None = None,
    options: Mapping[str, Any] | None = None,
) -> ModelStats:
    """Measures the model of a config, without weights, data or network.

    Args:
        path: Config file.
        size: Side of the image, or (height, width), in pixels; None takes the config's
            training crop.
        options: See :func:`mmseg_heritage.runs.config.config_files.load_config`.

    Raises:
        InputError: If there is no such config, its model cannot be built, or does not run on an
            image of this size.
    """
    cfg = load_config(path, options)
    height, width = _size(cfg, path, size)
    _remove_pretrained(cfg)
    model = build_model(cfg).eval().to("meta")
    try:
        image = torch.empty(1, image_channels(model.backbone), height, width, device="meta")
        encoding = count_flops(model.extract_feat, image)
        whole = count_flops(lambda inputs: model(inputs, mode="tensor"), image)
        channels, strides = _levels(model.backbone)
        head = count_parameters(model.decode_head)
    except InputError:
        raise
    except Exception as error:  # networks refuse a size with whatever fails first
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise InputError(
            f"{path}: expected a model of a backbone and one decode head that runs on an image of "
            f"{height} x {width} px, but it fails ({reason}); try a larger size"
        ) from error
    auxiliary = count_parameters(getattr(model, "auxiliary_head", None))
    return ModelStats(
        config=Path(path).stem,
        size=(height, width),
        parameters={
            "backbone": count_parameters(model) - head - auxiliary,
            "head": head,
            "auxiliary": auxiliary,
        },
        flops={"backbone": encoding, "head": whole - encoding},
        backbone=_name(cfg, model.backbone),
        channels=channels,
        strides=strides,
        image_sizes=_image_sizes(model.backbone),
    )


def measure_models(
    paths: Sequence[str | Path],
    size: int | Sequence[int] | None = None,
    options: Mapping[str, Any] | None = None,
    bar: Bar = no_bar,
) -> list[ModelStats]:
    """Measures the models of several configs.

    Args:
        paths: Config files.
        size: See :func:`measure_model`.
        options: See :func:`measure_model`.
        bar: Shows the progress.

    Raises:
        InputError: With the problems of all of them.
    """
    found: list[ModelStats] = []
    errors: list[InputError] = []
    with bar("measuring models") as report:
        for done, path in enumerate(paths, start=1):
            with gathered(errors):
                found.append(measure_model(path, size, options))
            if report is not None:
                report(done, len(paths))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InputError("some of these models cannot be measured", map(str, errors))
    return found


def _size(cfg: Config, path: str | Path, size: int | Sequence[int] | None) -> tuple[int, int]:
    """Returns height and width of the image."""
    crops = [node.get(key) for node, key in VARIABLES["crop_size"].places(cfg)]
    if size is None and not crops:
        raise InputError(
            f"{path}: no crop of this package in the training pipeline says how large images are; "
            "give the size of the image"
        )
    wanted = crops[0] if size is None else size
    sides: list[Any] = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted]
    whole = all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
    if len(sides) not in (1, 2) or not whole or min(sides) < 1:
        raise InputError(
            "the image size must be one whole number of pixels from 1 upwards, or height and "
            f"width, found {' '.join(map(str, sides)) or 'nothing'}"
        )
    return sides[0], sides[-1]


def _remove_pretrained(cfg: Config) -> None:
    """Takes out of a config what would load weights, or save memory in a backward pass."""
    model = cfg.get("model") or {}
    backbone = model.get("backbone") or {}
    for part in (model, backbone):
        for name in _LEFT_OUT:
            part.pop(name, None)
    if str(backbone.get("type")).endswith("TIMMBackbone"):
        backbone["pretrained"] = False  # mmseg's downloads unless turned off


def _levels(backbone: nn.Module) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns channels and strides of the feature maps of a backbone on the meta device."""
    side = _PROBE
    features = backbone(torch.empty(1, image_channels(backbone), side, side, device="meta"))
    return (
        tuple(feature.shape[1] for feature in features),
        tuple(side // feature.shape[-1] for feature in features),
    )


def _name(cfg: Config, backbone: nn.Module) -> str:
    """Returns the name of the network, or that of its weights, or of its class."""
    name = getattr(backbone, "model_name", None) or mit_name(cfg.model.backbone)
    return str(name or type(backbone).__name__)


def _image_sizes(backbone: nn.Module) -> str:
    """Says which image sizes a network takes by itself."""
    sizes = getattr(backbone, "input_sizes", None)
    if sizes is None or sizes.multiple == (1, 1):
        return "any"
    height, width = sizes.multiple
    shape = str(height) if height == width else f"{height} x {width}"
    return f"{shape} only, cut into tiles" if sizes.tiled else f"multiples of {shape}"
