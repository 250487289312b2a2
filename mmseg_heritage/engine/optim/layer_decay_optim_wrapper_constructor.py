"""Smaller learning rates for the earlier layers of a pretrained backbone."""

from __future__ import annotations

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmseg_heritage.errors import InputError

# Parts of the names of tables and tokens, which are matrices but no weights of a layer.
_TABLES = ("pos_embed", "position_bias_table", "cls_token")
_SUPPORTED = (
    "TimmBackboneAdapter, mmseg's MixVisionTransformer, and mmpretrain's backbones that have "
    "get_layer_depth (ConvNeXt, SwinTransformer, ...)"
)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Learning rates that decay from the head to the stem of the backbone.

    A parameter in layer i of a backbone of n layers, counted from 0 in the stem, learns at
    ``lr * decay_rate ** (n - i)``; all that is not in the backbone, such as decode heads, at ``lr``
    (Clark et al., ELECTRA, ICLR 2020, arXiv:2003.10555; Bao et al., BEiT, ICLR 2022,
    arXiv:2106.08254). Where a backbone wraps another one, the inner one is meant.

    Layers are what the backbone's authors count: timm's ``group_matcher``, ``get_layer_depth`` of
    mmpretrain, and for MiT the blocks, with the patch embedding of a later stage in its first block
    and the norm of a stage in its last.

    No weight decay acts on one-dimensional parameters (biases, norms, layer scales), position
    tables and class tokens.

    Args:
        optim_wrapper_cfg: See mmengine.
        paramwise_cfg: mmengine's options, plus

            - ``decay_rate`` (required): above 0, up to 1.
            - ``table_decay_mult``: Factor on the weight decay of position tables and class tokens;
              0 by default.

            ``norm_decay_mult``, ``bias_decay_mult`` and ``flat_decay_mult`` are 0 by default;
            ``custom_keys`` and the other options act as in mmengine, before the decay by layer.

    Raises:
        InputError: If ``decay_rate`` is absent or out of range, the optimizer has no ``lr``, or the
            layers of the backbone are not known.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        options = dict(paramwise_cfg or {})
        rate = options.get("decay_rate")
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise InputError(
                "LayerDecayOptimWrapperConstructor needs paramwise_cfg=dict(decay_rate=...), above "
                f"0 and up to 1, found {rate!r}"
            )
        if optim_wrapper_cfg.get("optimizer", {}).get("lr") is None:
            raise InputError(
                "LayerDecayOptimWrapperConstructor needs the learning rate written out: "
                "optim_wrapper=dict(optimizer=dict(type=..., lr=...))"
            )
        if optim_wrapper_cfg["optimizer"].get("weight_decay") is not None:
            for name in ("norm_decay_mult", "bias_decay_mult", "flat_decay_mult"):
                options.setdefault(name, 0.0)
        super().__init__(optim_wrapper_cfg, options)

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: int | float | None = None,
    ) -> None:
        """Fills the list of parameter groups; see mmengine, which calls this for every module."""
        super().add_params(params, module, prefix, is_dcn_module)
        if prefix:
            return
        names = {parameter: name for name, parameter in module.named_parameters()}
        place, backbone = _find_backbone(module)
        ids, num_layers = _layer_ids(backbone)
        tables = _tables(backbone)
        rate = self.paramwise_cfg["decay_rate"]
        table_decay_mult = self.paramwise_cfg.get("table_decay_mult", 0.0)
        custom_keys = self.paramwise_cfg.get("custom_keys", {})
        for group in params:  # one for each parameter, so far
            name = names[group["params"][0]]
            inner = name.removeprefix(place) if name.startswith(place) else ""
            group["lr"] = group.get("lr", self.base_lr) * rate ** (
                num_layers - ids.get(inner, num_layers)
            )
            if self.base_wd is None:
                continue
            group.setdefault("weight_decay", self.base_wd)
            if inner in tables and not any(key in name for key in custom_keys):
                group["weight_decay"] = self.base_wd * table_decay_mult
        params[:] = _merged(params)


def _find_backbone(model: nn.Module) -> tuple[str, nn.Module]:
    """Returns the outermost module whose layers are known, and what stands before its names."""
    for name, module in model.named_modules():
        if hasattr(module, "layer_ids") or hasattr(module, "get_layer_depth") or _is_mit(module):
            return f"{name}." if name else "", module
    found = type(getattr(model, "backbone", model)).__name__
    raise InputError(
        f"Learning rates by layer: the layers of {found} are not known. Supported: {_SUPPORTED}. "
        "For others, paramwise_cfg=dict(custom_keys=...) of the default constructor sets rates by "
        "name"
    )


def _is_mit(module: nn.Module) -> bool:
    # Not above: mmseg.models needs what mmseg_heritage.plugin prepares.
    from mmseg.models.backbones import MixVisionTransformer

    return isinstance(module, MixVisionTransformer)


def _layer_ids(backbone: nn.Module) -> tuple[dict[str, int], int]:
    """Returns the layer of each parameter, and the number of layers."""
    names = [name for name, _ in backbone.named_parameters()]
    if hasattr(backbone, "layer_ids"):
        ids = backbone.layer_ids()
        return ids, max(ids.values()) + 1
    if hasattr(backbone, "get_layer_depth"):
        depths = {name: backbone.get_layer_depth(name) for name in names}
        ids = {name: depth for name, (depth, _) in depths.items()}
        # mmpretrain counts what follows the backbone as a layer.
        return ids, next(iter(depths.values()))[1] - 1
    return _mit_layer_ids(backbone, names)


def _mit_layer_ids(backbone: Any, names: list[str]) -> tuple[dict[str, int], int]:
    """Counts the blocks of MiT; a stage holds a patch embedding, its blocks and a norm."""
    blocks = [len(stage[1]) for stage in backbone.layers]
    ids = {}
    for name in names:  # 'layers.<stage>.<part>...', and 'layers.<stage>.1.<block>...'
        _, stage, part, block, *_ = name.split(".")
        first = 1 + sum(blocks[: int(stage)])
        if part == "0":
            ids[name] = first if int(stage) else 0
        else:
            ids[name] = first + (int(block) if part == "1" else blocks[int(stage)] - 1)
    return ids, 1 + sum(blocks)


def _tables(backbone: nn.Module) -> set[str]:
    """Returns the names of position tables and class tokens."""
    listed = backbone.no_weight_decay() if hasattr(backbone, "no_weight_decay") else ()
    named = (name for name, _ in backbone.named_parameters() if any(t in name for t in _TABLES))
    return {*listed, *named}


def _merged(params: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Joins groups of the same settings, which the optimizer then updates in one go."""
    groups: dict[str, dict[str, Any]] = {}
    for group in params:
        settings = {key: value for key, value in group.items() if key != "params"}
        merged = groups.setdefault(repr(sorted(settings.items())), {"params": [], **settings})
        merged["params"] += group["params"]
    return list(groups.values())
