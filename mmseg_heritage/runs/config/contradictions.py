"""Values of a config that cannot be used, or not together, found before anything is built."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.iterations import as_list
from mmseg_heritage.runs.config.variables import VARIABLES, heads
from mmseg_heritage.taxonomy import ARTEFACT
from mmseg_heritage.utils.json_reading import form_problems

_ONE: Any = ({}, None)
_SOME: Any = ([{}], {}, None)
_LOADER: Any = ({"dataset": {}, "sampler": _ONE, "batch_sampler": _ONE}, None)
_FORM = {
    "model": {"backbone": _ONE, "decode_head": _SOME, "auxiliary_head": _SOME, "neck": _SOME,
              "data_preprocessor": _ONE, "train_cfg": _ONE, "test_cfg": _ONE, "inference": _ONE,
              "calibration": _ONE},
    "optim_wrapper": ({"optimizer": _ONE, "paramwise_cfg": _ONE, "clip_grad": _ONE}, None),
    "env_cfg": ({"dist_cfg": _ONE, "mp_cfg": _ONE}, None),
    **dict.fromkeys(("train_dataloader", "val_dataloader", "test_dataloader"), _LOADER),
    **dict.fromkeys(("train_cfg", "val_cfg", "test_cfg", "default_hooks", "visualizer",
                     "auto_scale_lr", "randomness", "log_processor"), _ONE),
    **dict.fromkeys(("param_scheduler", "custom_hooks", "val_evaluator", "test_evaluator"), _SOME),
}  # fmt: skip
"""Fields that mmengine's Runner and mmseg's segmentors read."""


def check_forms(cfg: Any, origin: str) -> None:
    """Refuses fields that are a number, a text or a list where all code expects fields in them.

    Args:
        cfg: The config.
        origin: What it was read from, for the message.

    Raises:
        InputError: With all of them.
    """
    if problems := list(form_problems(cfg.to_dict(), _FORM, "config")):
        raise InputError(f"{origin}: these fields of the config have another form", problems)


def contradictions(cfg: Any) -> list[str]:
    """Lists values of a config that cannot be used, or that contradict each other.

    Args:
        cfg: The config.

    Returns:
        One line each, naming the fields and what to do.
    """
    return [
        *_wrong_values(cfg), *_wrong_schedules(cfg), *_wrong_domain_batches(cfg),
        *_wrong_batches(cfg),
    ]  # fmt: skip


_STOCK_SEGMENTORS = ("EncoderDecoder", "CascadeEncoderDecoder")


def _wrong_batches(cfg: Any) -> Iterator[str]:
    """Yields a way to hand over batches that the segmentor cannot take."""
    segmentor = str((cfg.get("model") or {}).get("type")).rpartition(".")[2]
    collate = (cfg.get("train_dataloader") or {}).get("collate_fn") or {}
    is_stacked = isinstance(collate, Mapping) and collate.get("type") == "stacked_collate"
    if is_stacked and segmentor in _STOCK_SEGMENTORS:
        yield (
            f"train_dataloader.collate_fn hands labels over as bytes, which mmseg's {segmentor} "
            "does not take; set collate_fn=dict(type='pseudo_collate')"
        )


def _wrong_domain_batches(cfg: Any) -> Iterator[str]:
    """Yields what does not fit to batches of several domains, and to penalties on them."""
    hooks = [hook.get("type") for hook in as_list(cfg.get("custom_hooks"))]
    if (cfg.get("model") or {}).get("dg") and "DomainPenaltyHook" not in hooks:
        yield (
            "model.dg has penalties, whose weights nobody sets; add dict(type='DomainPenaltyHook') "
            "to custom_hooks"
        )
    loader = cfg.get("train_dataloader") or {}
    sampler = loader.get("sampler") or {}
    if sampler.get("type") != "DomainBatchSampler":
        return
    numbers: list[Any] = [sampler.get(name) for name in ("domains_per_batch", "images_per_domain")]
    if all(isinstance(number, int) for number in numbers):  # else the sampler says what is wrong
        expected = math.prod(numbers)
        if loader.get("batch_size") != expected:
            yield (
                f"train_dataloader.batch_size is {loader.get('batch_size')}, but its sampler gives "
                f"domains_per_batch={numbers[0]} x images_per_domain={numbers[1]} = {expected} "
                "images to a process; set all three together"
            )
    if "max_iters" not in (cfg.get("train_cfg") or {}):
        yield (
            "a DomainBatchSampler gives batches without end; set max_iters, the iterations of the "
            "training"
        )


def _wrong_values(cfg: Any) -> Iterator[str]:
    """Yields the fields of the variables whose values cannot be used."""
    for name, variable in VARIABLES.items():
        for node, key in variable.places(cfg):
            if key in node and not variable.allows(node[key]):
                yield f"{name} must be {variable.expected}, found {node[key]!r}"
                break


def _wrong_schedules(cfg: Any) -> Iterator[str]:
    """Yields what does not fit between the length of the training, its rate and its schedules."""
    train_cfg = cfg.get("train_cfg") or {}
    lengths = [unit for unit in ("max_epochs", "max_iters") if train_cfg.get(unit) is not None]
    if len(lengths) > 1:
        yield (
            f"train_cfg has max_epochs={train_cfg['max_epochs']} and max_iters="
            f"{train_cfg['max_iters']}; a training lasts for one of them"
        )
    lr = (cfg.get("optim_wrapper") or {}).get("optimizer", {}).get("lr")
    for i, schedule in enumerate(as_list(cfg.get("param_scheduler"))):
        place = f"param_scheduler[{i}] ({schedule.get('type')})"
        by_epoch = schedule.get("by_epoch", True)
        unit = "max_epochs" if by_epoch else "max_iters"
        length = train_cfg.get(unit)
        steps = schedule.get("total_steps")
        if steps is not None and length is not None and steps != length:
            yield (
                f"{place}.total_steps is {steps}, train_cfg.{unit} {length}: the cycle would not "
                "end with the training. Give both one value, or use PerGroupOneCycleLR, which "
                "lasts as long as the training"
            )
        peak = schedule.get("eta_max")
        if peak is not None and lr is not None and peak != lr:
            yield (
                f"{place}.eta_max is {peak}, optim_wrapper.optimizer.lr {lr}: the schedule would "
                "take the place of the rate. Give both one value, or use PerGroupOneCycleLR, "
                "whose peak is the optimizer's rate"
            )
        begin = schedule.get("begin", 0)
        if length is not None and begin >= length:
            yield (
                f"{place}.begin is {begin}, but the training has {unit}={length}; a warm-up must "
                "be shorter than the training (warmup_epochs)"
            )


def check_iterations(cfg: Any, iterations: int) -> None:
    """Verifies schedules that count iterations in a training that counts epochs.

    Args:
        cfg: The run's config.
        iterations: Of the whole training.

    Raises:
        InputError: With every schedule of another length, which would stop the training, or not
            end with it.
    """
    problems = [
        f"param_scheduler[{i}] ({schedule.get('type')}).total_steps is {schedule['total_steps']}"
        for i, schedule in enumerate(as_list(cfg.get("param_scheduler")))
        if not schedule.get("by_epoch", True)
        and schedule.get("total_steps", iterations) != iterations
    ]
    if problems:
        raise InputError(
            f"the training has {iterations} iterations; give the schedule as many steps, or use "
            "PerGroupOneCycleLR, which lasts as long as the training",
            problems,
        )


def check_classes(cfg: Any, num_classes: int) -> None:
    """Verifies that every head predicts as many classes as the data set has.

    Args:
        cfg: The run's config.
        num_classes: Number of classes of the data set.

    Raises:
        InputError: With every head that disagrees.
    """
    problems = [
        f"model.{name}.num_classes is {head['num_classes']}"
        for name, head in heads(cfg).items()
        if head.get("num_classes") not in (None, num_classes)
    ]
    if problems:
        raise InputError(
            f"the data set has {num_classes} classes; set num_classes={num_classes}, or change the "
            "classes of the data set",
            problems,
        )


def check_trees(cfg: Any, classes: Sequence[str]) -> None:
    """Verifies that hierarchical heads group the classes of the data set, and not other ones.

    Args:
        cfg: The run's config.
        classes: Names of the trained classes, in order of their ids.

    Raises:
        InputError: With every head that groups others.
    """
    problems = []
    for name, head in heads(cfg).items():
        if head.get("type") != "HierarchicalUPerHead":
            continue
        listed = head.get("classes") or ARTEFACT.names
        names = [entry if isinstance(entry, str) else entry.get("name") for entry in listed]
        if names != list(classes):
            problems.append(f"model.{name}.classes: {', '.join(map(str, names))}")
    if problems:
        raise InputError(
            f"the data set's classes are {', '.join(classes)}; list them, with their groups, in "
            "'classes' of the head that has a tree of classes",
            problems,
        )
