"""Loading a config so that one variable on the command line reaches every field it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmseg_heritage.errors import InputError

_SUFFIX = "_variables"


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Loads a config file and applies ``--cfg-options``.

    mmengine evaluates a config before the options are merged, so that overriding ``data_root`` would
    change a name nobody reads any more. The shipped base files therefore say, in ``*_variables``, which
    fields each variable fills, and an overridden variable is carried there. ``max_iters`` turns an
    epoch-based schedule into an iteration-based one.

    Args:
        path: Config file.
        options: Dotted key -> value.

    Raises:
        InputError: If the file is missing or cannot be evaluated, or if an option names a field that
            does not exist.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such config file")
    try:
        cfg = Config.fromfile(path)
    except (InputError, ImportError):
        raise
    except Exception as error:  # a config is a program: it can fail in any way
        raise InputError(f"{path}: the config cannot be read ({error})") from error
    options = dict(options or {})
    max_iters = options.pop("max_iters", None)
    fields = _variable_fields(cfg)
    # Variables first, so that an explicit field on the same command line wins.
    direct = {key: value for key, value in options.items() if key not in fields}
    derived = {
        field: value for key, value in options.items() if key in fields for field in fields[key]
    }
    own = {key: value for key, value in options.items() if key in fields}
    problems = [f"{key}: no such field" for key in direct if not _exists(cfg, key)]
    if problems:
        known = ", ".join(sorted(fields))
        raise InputError(f"{path}: --cfg-options cannot be applied. Variables: {known}", problems)
    for key, value in {**own, **derived}.items():
        set_field(cfg, key, value)
    cfg.merge_from_dict(direct)
    if max_iters is not None:
        _count_iterations(cfg, max_iters)
    return cfg


def set_field(cfg: Config, key: str, value: Any) -> None:
    """Sets a dotted field, replacing what was there rather than merging into it."""
    *parents, last = key.split(".")
    node: Any = cfg
    for name in parents:
        node = node[int(name)] if isinstance(node, (list, tuple)) else node[name]
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value


def _variable_fields(cfg: Config) -> dict[str, list[str]]:
    """Collects variable -> fields over all ``*_variables`` of the config."""
    fields: dict[str, list[str]] = {}
    for key, value in cfg.items():
        if key.endswith(_SUFFIX) and isinstance(value, dict):
            for variable, targets in value.items():
                fields.setdefault(variable, []).extend(targets)
    # An inheriting config may have replaced a part (a loss, a pipeline) whose field is then gone.
    return {name: [t for t in targets if _exists(cfg, t)] for name, targets in fields.items()}


def _exists(cfg: Config, key: str) -> bool:
    """Whether the parent of a dotted field exists; new leaves such as 'load_from' are allowed."""
    *parents, last = key.split(".")
    node: Any = cfg
    try:
        for name in parents:
            node = node[int(name)] if isinstance(node, (list, tuple)) else node[name]
    except (KeyError, IndexError, ValueError, TypeError):
        return False
    if isinstance(node, (list, tuple)):
        return last.isdigit() and int(last) < len(node)
    if node is cfg:
        return last in cfg or last in _RUNNER_FIELDS
    return isinstance(node, (dict, ConfigDict))


_RUNNER_FIELDS = ("work_dir", "custom_hooks", "model_wrapper_cfg", "auto_scale_lr",
                  "find_unused_parameters", "compile")  # fmt: skip


def _count_iterations(cfg: Config, max_iters: int) -> None:
    """Makes a run of ``max_iters`` iterations out of an epoch-based config."""
    if isinstance(max_iters, bool) or not isinstance(max_iters, int) or max_iters < 1:
        raise InputError(f"max_iters must be a positive integer, found {max_iters!r}")
    interval = max(1, max_iters // 10)
    cfg.train_cfg = ConfigDict(
        type="IterBasedTrainLoop", max_iters=max_iters, val_interval=interval
    )
    cfg.train_dataloader.sampler = ConfigDict(type="InfiniteSampler", shuffle=True)
    for scheduler in cfg.param_scheduler:
        scheduler.by_epoch = False
        scheduler.pop("convert_to_iter_based", None)
        for bound in ("total_steps", "end", "T_max"):
            if bound in scheduler:
                scheduler[bound] = max_iters
    cfg.default_hooks.checkpoint.by_epoch = False
    cfg.default_hooks.checkpoint.interval = interval
    cfg.default_hooks.logger.log_metric_by_epoch = False
    cfg.log_processor.by_epoch = False


def check_classes(cfg: Config, num_classes: int) -> None:
    """Verifies that every head predicts as many classes as the data set has.

    Args:
        cfg: The run's config.
        num_classes: Number of classes of the data set.

    Raises:
        InputError: With every head that disagrees.
    """
    problems = []
    for name in ("decode_head", "auxiliary_head"):
        heads = cfg.model.get(name) or []
        for i, head in enumerate(heads if isinstance(heads, list) else [heads]):
            found = head.get("num_classes")
            if found is not None and found != num_classes:
                where = f"model.{name}" + (f"[{i}]" if isinstance(heads, list) else "")
                problems.append(f"{where}.num_classes is {found}")
    if problems:
        raise InputError(
            f"the data set has {num_classes} classes; set num_classes={num_classes}, or change the "
            "classes of the data set",
            problems,
        )
