"""What of a pretrained backbone is trained: everything, norm layers, low-rank adapters, nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg_heritage.errors import InputError

TUNE = ("all", "norm", "adapters", "frozen")
"""Values of ``model.tune``; the decoder is trained in any case."""


def tune_backbone(backbone: nn.Module, tune: str, rank: int, run: Callable[[], Any]) -> None:
    """Freezes what is not to be trained of a backbone, and adds adapters where asked for.

    What is frozen already stays so. The names of the backbone's weights do not change, so that
    pretrained files are loaded as before.

    Args:
        backbone: The backbone.
        tune: 'all' changes nothing. 'norm' trains scales and shifts of norm layers. 'adapters'
            trains a low-rank term beside each linear layer and 1x1 convolution (LoRA, Hu et al.,
            ICLR 2022, arXiv:2106.09685): W x + B A x, with B = 0 at the start. 'frozen' trains
            nothing.
        rank: Rows of A, from 1.
        run: Runs the backbone once, to learn which layers compute by themselves: others use the
            weights of a layer without calling it, and an adapter there would do nothing.

    Raises:
        InputError: If a value is not known, or there is nothing of what is to be trained.
    """
    problems = []
    if tune not in TUNE:
        problems.append(f"tune={tune!r}, expected one of {', '.join(TUNE)}")
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        problems.append(f"adapter_rank={rank!r}, expected a whole number from 1")
    if problems:
        raise InputError("the model cannot be tuned like that", problems)
    if tune == "all":
        return
    norms = {id(p) for layer in norm_layers(backbone) for p in layer.parameters(recurse=False)}
    trained = [p for p in backbone.parameters() if p.requires_grad]
    adapted = list(_adaptable(backbone)) if tune == "adapters" else []
    for parameter in trained:
        parameter.requires_grad_(tune == "norm" and id(parameter) in norms)
    adapted = _add_adapters(adapted, rank, run)
    found = [p for p in backbone.parameters() if p.requires_grad]
    if tune != "frozen" and not found:
        raise InputError(
            f"model.tune='{tune}': the backbone has no such layers that could be trained; take "
            "'all' or 'frozen'"
        )
    print_log(
        f"tune='{tune}': {sum(p.numel() for p in found):,} of "
        f"{sum(p.numel() for p in backbone.parameters()):,} numbers of the backbone are trained"
        + (f", in adapters of rank {rank} at {len(adapted)} layers" if adapted else ""),
        "current",
    )


def rest(backbone: nn.Module, tune: str) -> None:
    """Keeps a backbone that is frozen from changing its statistics while its model is trained.

    Args:
        backbone: In training mode.
        tune: See :func:`tune_backbone`. A frozen one also drops nothing at random.
    """
    if tune == "frozen":
        backbone.eval()
    elif tune == "adapters":
        for module in backbone.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def norm_layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yields all layers that normalize, those of timm included."""
    for layer in module.modules():
        known = isinstance(layer, (_BatchNorm, nn.LayerNorm, nn.GroupNorm))
        if known or type(layer).__name__.lower().rstrip("123d").endswith("norm"):
            yield layer


def _adaptable(backbone: nn.Module) -> Iterator[nn.Module]:
    """Yields linear layers and 1x1 convolutions that were trained so far."""
    for module in backbone.modules():
        is_linear = isinstance(module, nn.Linear)
        is_pointwise = (
            isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1
        )
        if (is_linear or is_pointwise) and module.weight.requires_grad:
            yield module


def _add_adapters(layers: list[nn.Module], rank: int, run: Callable[[], Any]) -> list[nn.Module]:
    """Adds a low-rank term to the layers that a run calls, and returns these."""
    called: set[nn.Module] = set()
    handles = [
        layer.register_forward_hook(lambda module, *_: called.add(module)) for layer in layers
    ]
    if layers:
        run()
    for handle in handles:
        handle.remove()
    adapted = [layer for layer in layers if layer in called]
    for layer in adapted:
        outputs, inputs = layer.weight.shape[:2]
        layer.adapter_in = nn.Parameter(torch.empty(min(rank, inputs, outputs), inputs))
        layer.adapter_out = nn.Parameter(torch.zeros(outputs, len(layer.adapter_in)))
        nn.init.kaiming_uniform_(layer.adapter_in, a=5**0.5)
        layer.register_forward_hook(_with_adapter)
    return adapted


def _with_adapter(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Adds B A x to the output W x of a layer."""
    if isinstance(layer, nn.Linear):
        return output + functional.linear(
            functional.linear(inputs[0], layer.adapter_in), layer.adapter_out
        )
    low = functional.conv2d(inputs[0], layer.adapter_in[..., None, None], stride=layer.stride)
    return output + functional.conv2d(low, layer.adapter_out[..., None, None])
