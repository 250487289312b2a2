"""The short variables of ``--cfg-options``: one name for all the fields of a config it stands for.

A config holds real fields only; these names are a convenience of the command line on top. Steps of
pipelines, losses and heads are found by their type, wherever they are in the config.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.iterations import count_iterations

Place = tuple[Any, str]
"""A dict of the config, and the key in it."""
Config = Mapping[str, Any]

_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_CROPS = ("RareClassCrop", "RandomSquareCrop")
_LOSSES = ("ClassWeightedDiceLoss", "GeneralizedDiceLoss", "MaskedCrossEntropyLoss",
           "MulticlassFocalLoss", "CrossEntropyLoss")  # fmt: skip
_HIERARCHICAL = "HierarchicalUPerHead"
_LARGEST_SEED = 2**32 - 1  # of numpy


@dataclass(frozen=True)
class Variable:
    """A short name for fields of a config.

    Attributes:
        help: What it sets, in a few words, for the documentation.
        places: Returns all fields that the name stands for in a config.
        instead: What a config file writes instead, for the message about a variable in one.
        needs: What must be in a config for the name to stand for something.
        allows: Whether a value can be used.
        expected: The values that can be used, in words.
        apply: Sets a value where writing it into the fields is not enough.
        is_text: Whether the value on the command line is taken as it is, never as a number or list.
    """

    help: str
    places: Callable[[Config], list[Place]]
    instead: str
    needs: str = ""
    allows: Callable[[Any], bool] = lambda value: True
    expected: str = ""
    apply: Callable[[Any, Any], None] | None = None
    is_text: bool = False


def _is_cache(value: Any) -> bool:
    from mmseg_heritage.datasets.caches.pixel_cache import CACHES  # needs torch, as exports do not

    return value in CACHES


def find_dicts(node: Any, *types: str, has: str = "type") -> Iterator[Any]:
    """Yields the dicts in a config whose type is one of ``types``, outer ones first.

    Args:
        node: The config, or a part of it.
        *types: Names of registered classes; none means all.
        has: Key that a dict must have.
    """
    if isinstance(node, Mapping):
        if has in node and (not types or node.get("type") in types):
            yield node
        for value in node.values():
            yield from find_dicts(value, *types, has=has)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from find_dicts(value, *types, has=has)


def innermost_datasets(cfg: Config, loader: str) -> list[Any]:
    """Returns the configs of the data sets of a loader, inside wrappers such as RepeatDataset."""
    found: list[Any] = []
    waiting = [(cfg.get(loader) or {}).get("dataset")]
    while waiting:
        dataset = waiting.pop(0)
        if not isinstance(dataset, Mapping):
            continue
        inner = dataset.get("dataset") or dataset.get("datasets")
        if inner is None:
            found.append(dataset)
        else:
            waiting += list(inner) if isinstance(inner, (list, tuple)) else [inner]
    return found


def _in_datasets(key: str, *loaders: str) -> Callable[[Config], list[Place]]:
    """Fields of the data sets that have one of this name."""
    return lambda cfg: [
        (dataset, key)
        for loader in loaders or _LOADERS
        for dataset in innermost_datasets(cfg, loader)
        if key in dataset or dataset.get("type") == "ARTeFACTDataset"
    ]


def _in_loaders(key: str, *loaders: str) -> Callable[[Config], list[Place]]:
    return lambda cfg: [(cfg[name], key) for name in loaders or _LOADERS if cfg.get(name)]


def _in_steps(key: str, types: tuple[str, ...], *parts: str) -> Callable[[Config], list[Place]]:
    """Fields of pipeline steps, found by type in parts of the config."""
    return lambda cfg: [(step, key) for part in parts for step in find_dicts(cfg.get(part), *types)]


def _at(*path: str) -> Callable[[Config], list[Place]]:
    """One field by its place, where what holds it is there."""

    def places(cfg: Config) -> list[Place]:
        node: Any = cfg.get(path[0])
        for name in path[1:-1]:
            node = node.get(name) if isinstance(node, Mapping) else None
        return [(node, path[-1])] if isinstance(node, Mapping) else []

    return places


def _crop_sizes(cfg: Config) -> list[Place]:
    """The crops of training, and the size that a backbone of a fixed size is built for."""
    crops = _in_steps("size", _CROPS, "train_dataloader")(cfg)
    backbone = (cfg.get("model") or {}).get("backbone") or {}
    return crops + [(backbone, "img_size")] * bool(crops and "img_size" in backbone)


def heads(cfg: Config) -> dict[str, Any]:
    """Returns the heads of a model by their key: 'decode_head', 'auxiliary_head[0]', ..."""
    found: dict[str, Any] = {}
    for name in ("decode_head", "auxiliary_head"):
        head = (cfg.get("model") or {}).get(name)
        if isinstance(head, Mapping):
            found[name] = head
        elif isinstance(head, (list, tuple)):
            found.update({f"{name}[{i}]": part for i, part in enumerate(head)})
    return found


def _in_heads(key: str, *types: str) -> Callable[[Config], list[Place]]:
    return lambda cfg: [
        (head, key) for head in heads(cfg).values() if not types or head.get("type") in types
    ]


def _in_losses(cfg: Config) -> list[Place]:
    """The losses of the classes that can weigh them."""
    losses = (
        loss
        for head in heads(cfg).values()
        for loss in find_dicts(head.get("loss_decode"))
        if loss["type"] in _LOSSES or "class_weight" in loss
    )
    return [(loss, "class_weight") for loss in losses]


def _warm_up(cfg: Config) -> list[Place]:
    schedules = list(find_dicts(cfg.get("param_scheduler"), "LinearLR", "CosineAnnealingLR"))
    if {schedule["type"] for schedule in schedules} != {"LinearLR", "CosineAnnealingLR"}:
        return []
    keys = {"LinearLR": "end", "CosineAnnealingLR": "begin"}
    return [(schedule, keys[schedule["type"]]) for schedule in schedules]


def _in_own_model(key: str) -> Callable[[Config], list[Place]]:
    return lambda cfg: (
        _at("model", key)(cfg)
        if (cfg.get("model") or {}).get("type") == "HeritageEncoderDecoder"
        else []
    )


def _max_epochs(cfg: Config) -> list[Place]:
    by_iterations = "max_iters" in (cfg.get("train_cfg") or {})
    return [] if by_iterations else _at("train_cfg", "max_epochs")(cfg)


def _decay_rate(cfg: Config) -> list[Place]:
    constructor = (cfg.get("optim_wrapper") or {}).get("constructor")
    is_layer_decay = constructor == "LayerDecayOptimWrapperConstructor"
    return _at("optim_wrapper", "paramwise_cfg", "decay_rate")(cfg) if is_layer_decay else []


def _set_num_workers(cfg: Any, value: int) -> None:
    for name in _LOADERS:
        if cfg.get(name):
            cfg[name].num_workers = value
            cfg[name].persistent_workers = value > 0  # torch refuses to keep workers alive of none


def _set_pretrained(cfg: Any, value: Any) -> None:
    from mmseg_heritage.runs.pretrained import set_pretrained

    set_pretrained(cfg, value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return _is_whole(value) and value >= 1


def _is_rate(value: Any) -> bool:
    return (_is_whole(value) or isinstance(value, float)) and 0 <= value < math.inf


_COUNT: dict[str, Any] = {"allows": _is_positive, "expected": "a positive integer"}
_DATASET = "train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict({}=...))"
_STEP = "_base_.train_dataloader.dataset.pipeline[N].{} = ..."  # N: place of the step

VARIABLES: dict[str, Variable] = {
    "data_root": Variable(
        "folder of the data set",
        _in_datasets("data_root"), _DATASET.format("data_root"), is_text=True,
    ),
    "split_file": Variable(
        "split manifest (JSON) below the data root; empty for the default split by source object",
        _in_datasets("ann_file"), _DATASET.format("ann_file"), is_text=True,
    ),
    "level": Variable(
        "classes: fine (16), coarse (4) or binary (2); set num_classes too",
        _in_datasets("level"), _DATASET.format("level"),
    ),
    "num_classes": Variable(
        "classes of every head",
        _in_heads("num_classes"), "model = dict(decode_head=dict(num_classes=...))", **_COUNT,
    ),
    "crop_size": Variable(
        "side of the training crops in pixels; backbones of a fixed size are built for it",
        _crop_sizes, _STEP.format("size"),
        needs="a step RareClassCrop or RandomSquareCrop in train_dataloader", **_COUNT,
    ),
    "rare_class_prob": Variable(
        "share of the training crops that are placed on a rare class, 0..1",
        _in_steps("rare_class_prob", ("RareClassCrop",), "train_dataloader"),
        _STEP.format("rare_class_prob"),
        needs="a step RareClassCrop in train_dataloader",
    ),
    "native_prob": Variable(
        "share of the training crops that are not resized, and show damage at its size, 0..1",
        _in_steps("native_prob", _CROPS, "train_dataloader"),
        _STEP.format("native_prob"),
        needs="a step RareClassCrop or RandomSquareCrop in train_dataloader",
    ),
    "augmentation": Variable(
        "none, light, medium, heavy, heritage or film_damage",
        _in_steps("tier", ("HeritageAugmentation",), "train_dataloader"),
        _STEP.format("tier"),
        needs="a step HeritageAugmentation in train_dataloader",
    ),
    "max_edge": Variable(
        "long edge in pixels to which images are shrunk for validation during training",
        _in_steps("max_edge", ("LimitLongEdge",), "val_dataloader"),
        "_base_.val_dataloader.dataset.pipeline[1].max_edge = ...",
        needs="a step LimitLongEdge in val_dataloader", **_COUNT,
    ),
    "batch_size": Variable(
        "images of one process in a step of training",
        _in_loaders("batch_size", "train_dataloader"), "train_dataloader = dict(batch_size=...)",
        **_COUNT,
    ),
    "global_batch_size": Variable(
        "images of all processes together in a step; sets batch_size to its share",
        lambda cfg: [(cfg, "global_batch_size")] * bool(cfg.get("train_dataloader")),
        "train_dataloader = dict(batch_size=...), the images of one process",
        allows=lambda value: value is None or _is_positive(value), expected=_COUNT["expected"],
    ),
    "num_workers": Variable(
        "data-loading processes",
        _in_loaders("num_workers"),
        "train_dataloader = val_dataloader = test_dataloader = dict(num_workers=...)",
        allows=lambda value: _is_whole(value) and value >= 0, expected="a whole number from 0",
        apply=_set_num_workers,
    ),
    "cache": Variable(
        "decoded images of training and validation: auto, ram (once per machine), disk or none",
        _in_datasets("cache", "train_dataloader", "val_dataloader"),
        "train_dataloader = val_dataloader = dict(dataset=dict(cache=...))",
        allows=_is_cache, expected="auto, ram, disk or none",
    ),
    "cache_dir": Variable(
        "folder of a cache on disk; empty for the folder cache below the data root",
        _in_datasets("cache_dir", "train_dataloader", "val_dataloader"),
        "train_dataloader = val_dataloader = dict(dataset=dict(cache_dir=...))", is_text=True,
    ),
    "pretrained": Variable(
        "weights of the backbone: a file, auto (cache or download), or none",
        _at("model", "backbone"),
        "model = dict(backbone=dict(init_cfg=dict(type='Pretrained', checkpoint=...))), or "
        "checkpoint_path=... for a TimmBackboneAdapter",
        needs="model.backbone", apply=_set_pretrained, is_text=True,
    ),
    "tune": Variable(
        "what of the backbone is trained: all, norm, adapters or frozen",
        _in_own_model("tune"), "model = dict(tune=...)", needs="a HeritageEncoderDecoder",
    ),
    "class_weights": Variable(
        "weights of the classes in the losses: a file of class_weights.py, a list, or none",
        _in_losses, "class_weight=[...] in each loss of model.decode_head",
        needs="a loss with class_weight in model.decode_head",
    ),
    "lr": Variable(
        "peak learning rate",
        _at("optim_wrapper", "optimizer", "lr"), "optim_wrapper = dict(optimizer=dict(lr=...))",
        allows=_is_rate, expected="a number from 0",
    ),
    "decay_rate": Variable(
        "learning rate from one layer of the backbone to the one before it",
        _decay_rate, "optim_wrapper = dict(paramwise_cfg=dict(decay_rate=...))",
        needs="optim_wrapper.constructor='LayerDecayOptimWrapperConstructor'",
    ),
    "max_epochs": Variable(
        "epochs of the training",
        _max_epochs, "train_cfg = dict(max_epochs=...)", needs="a training by epochs", **_COUNT,
    ),
    "max_iters": Variable(
        "iterations of the training, instead of epochs",
        _at("train_cfg", "max_iters"),
        "train_cfg = dict(_delete_=True, type='ResumableIterLoop', max_iters=...)",
        allows=lambda value: value is None or _is_positive(value), expected=_COUNT["expected"],
        apply=lambda cfg, value: None if value is None else count_iterations(cfg, value),
    ),
    "warmup_epochs": Variable(
        "epochs of the linear warm-up",
        _warm_up, "param_scheduler = [...]",
        needs="LinearLR followed by CosineAnnealingLR in param_scheduler", **_COUNT,
    ),
    "seed": Variable(
        "seed of everything random; none for another one in each run",
        _at("randomness", "seed"), "randomness = dict(seed=...)",
        allows=lambda value: value is None or (_is_whole(value) and 0 <= value <= _LARGEST_SEED),
        expected=f"a whole number in 0..{_LARGEST_SEED}, or None for another one in each run",
    ),
    "inference": Variable(
        "how the network is applied to photographs, such as inference.scales=fit:1024",
        _in_own_model("inference"), "model = dict(inference=dict(...))",
        needs="a HeritageEncoderDecoder",
        allows=lambda value: isinstance(value, Mapping), expected="dict(...)",
    ),
    "vis_backends": Variable(
        "where curves go, as mmengine's visualization backends",
        _at("visualizer", "vis_backends"), "visualizer = dict(vis_backends=[...])",
    ),
    "mode": Variable(
        "how levels inform each other in a hierarchical head: independent, marginal, conditional",
        _in_heads("mode", _HIERARCHICAL), "model = dict(decode_head=dict(mode=...))",
        needs=f"a {_HIERARCHICAL}",
    ),
    "level_weights": Variable(
        "weights of the levels' losses of a hierarchical head, such as level_weights.fine=0.5",
        _in_heads("level_weights", _HIERARCHICAL),
        "model = dict(decode_head=dict(level_weights=dict(...)))", needs=f"a {_HIERARCHICAL}",
    ),
}  # fmt: skip
"""Name -> variable, in the order of the documentation."""

_SAME_EVERYWHERE = ("batch_size", "num_workers", "num_classes", "lr", "max_epochs", "seed")

TEXT_FIELDS = frozenset(
    {name for name, variable in VARIABLES.items() if variable.is_text}
    | {"ann_file", "checkpoint", "checkpoint_path", "experiment_name", "load_from",
       "metadata_file", "work_dir"}
)  # fmt: skip
"""Variables, and last parts of full names, whose values on the command line stay text."""

NONE_IS_A_NAME = frozenset({"augmentation", "tier", "cache"})
"""Of variables and last parts of full names, those for which 'none' is a value like others."""


def names_of(cfg: Config) -> list[str]:
    """Returns the variables that stand for something in a config."""
    return [name for name, variable in VARIABLES.items() if variable.places(cfg)]


def missing_place(cfg: Config, name: str) -> str:
    """Returns why a variable stands for nothing in a config; empty where it stands for a field."""
    variable = VARIABLES[name]
    needs = f": it needs {variable.needs}" if variable.needs else ""
    return "" if variable.places(cfg) else f"{name} would reach nothing in this config{needs}"


def set_variable(cfg: Any, key: str, value: Any) -> None:
    """Sets every field that a variable stands for; fields that it does not have are added.

    Args:
        cfg: The config, changed in place.
        key: A variable, or a part of one such as ``level_weights.fine``.
        value: The value.

    Raises:
        InputError: If the config has nothing that the variable stands for.
    """
    name, *inner = key.split(".")
    if problem := missing_place(cfg, name):
        raise InputError(problem)
    variable = VARIABLES[name]
    places = variable.places(cfg)
    if variable.apply is not None:
        variable.apply(cfg, value)
        return
    for node, field in places:
        for part in inner:
            if node.get(field) is None:
                node[field] = {}  # which a ConfigDict copies
            node, field = node[field], part
        node[field] = value


def value_problems(options: Mapping[str, Any]) -> list[str]:
    """Lists the variables, and full names of fields with their names, whose values cannot be used.

    Args:
        options: Name of a variable, or dotted field -> value.

    Returns:
        One line each: the name, what is expected, what was found.
    """
    found = []
    for key, value in options.items():
        # Of full names, those whose last part means the same wherever it is.
        name = key.rpartition(".")[2]
        variable = VARIABLES.get(name) if name == key or name in _SAME_EVERYWHERE else None
        if variable is not None and not variable.allows(value):
            found.append(f"{key} must be {variable.expected}, found {value!r}")
    return found
