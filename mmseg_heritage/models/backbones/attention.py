"""Attention of mmcv's transformers, without the weights that nobody reads."""

from __future__ import annotations

from typing import Any

from mmcv.cnn.bricks.transformer import MultiheadAttention
from torch import nn


def without_attention_weights(backbone: nn.Module) -> None:
    """Lets the attention layers of a backbone return their output only.

    mmcv's attention takes the first of what :class:`torch.nn.MultiheadAttention` returns. The
    other, the mean weights of all heads, is a matrix of all pairs of positions, and asking for it
    keeps torch from its fused kernels. Names and values of parameters stay as they are.

    Args:
        backbone: Any; one without such layers stays as it is.
    """
    for layer in backbone.modules():
        if isinstance(layer, MultiheadAttention) and isinstance(layer.attn, nn.MultiheadAttention):
            layer.attn.register_forward_pre_hook(_output_only, with_kwargs=True)


def _output_only(
    layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, {**kwargs, "need_weights": False}
