"""Loading a config so that one variable on the command line reaches every field it stands for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from importlib import resources
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from mmseg_heritage.errors import InputError, did_you_mean
from mmseg_heritage.runs.variables import value_problems

_SUFFIX = "_variables"


def config_folder() -> Path:
    """Returns the shipped configs: those of the checkout, or those inside the installed package.

    Raises:
        InputError: If neither is there.
    """
    package = Path(str(resources.files("mmseg_heritage")))
    for folder in (package.parent / "configs", package / ".mim" / "configs"):
        if any(folder.glob("*_artefact.py")):
            return folder
    raise InputError(
        f"the shipped configs are not beside the package in {package}; "
        "install it with: pip install ."
    )


def find_config(path: str | Path) -> Path:
    """Returns a config file: the one at the path or, for a bare name, the shipped one of that name.

    An installed package has no configs/ that a path could lead to.

    Raises:
        InputError: If there is none.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    stem = path.name.removesuffix(".py")
    if path.parent == Path():
        folder = config_folder()
        shipped = folder / f"{stem}.py"
        if shipped.is_file():
            return shipped
        hint = did_you_mean(stem, (config.stem for config in folder.glob("*.py")))
    else:
        hint = did_you_mean(f"{stem}.py", (config.name for config in path.parent.glob("*.py")))
    raise InputError(f"{path}: no such config file{hint}")


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Loads a config file and applies ``--cfg-options``.

    mmengine evaluates base files before anything is merged into them, so that a child config or an
    option that sets ``data_root`` would change a name nobody reads any more. The shipped base files
    therefore hold tables ``*_variables`` of variable -> (default, fields), and a variable that an
    option sets, or whose value is no longer its default, is carried into its fields. ``max_iters``
    turns an epoch-based schedule into an iteration-based one.

    Args:
        path: Config file, or the name of a shipped one.
        options: Dotted key -> value; fields named here win over variables.

    Raises:
        InputError: If the file is missing or cannot be evaluated, if an option names a field that
            does not exist, or with all variables whose values cannot be used.
    """
    path = find_config(path)
    try:
        cfg = Config.fromfile(path)
    except (InputError, ImportError):
        raise
    except Exception as error:  # a config is a program: it can fail in any way
        raise InputError(f"{path}: the config cannot be read ({error})") from error
    apply_options(cfg, options, path)
    return cfg


def apply_options(cfg: Config, options: Mapping[str, Any] | None, path: str | Path) -> None:
    """Applies ``--cfg-options`` to a config, see :func:`load_config`.

    Args:
        cfg: Changed in place.
        options: Dotted key -> value.
        path: Where the config came from, for messages.

    Raises:
        InputError: As :func:`load_config`.
    """
    options = dict(options or {})
    tables = [table for key, table in cfg.items() if key.endswith(_SUFFIX)]
    variables = {name: cfg[name] for table in tables for name in table}
    _check_options(path, cfg, options, variables)
    problems = value_problems({**variables, **options}, tables)
    if problems:
        raise InputError(f"{path}: these values cannot be used", problems)
    max_iters = options.pop("max_iters", None)
    given = set()
    for key in list(options):
        name = key.split(".")[0]
        if name in variables:  # or a part of one: level_weights.fine
            _set_field(cfg, key, options.pop(key))
            given.add(name)
    lost = [name for table in tables for name in _fill_fields(cfg, table, given)]
    if lost:
        raise InputError(
            f"{path}: set these fields themselves; this config has replaced the parts that the "
            "variables stand for",
            [f"{name} would reach nothing" for name in lost],
        )
    cfg.merge_from_dict(options)
    epochs = cfg.get("train_cfg", {}).get("max_epochs", math.inf)
    if cfg.get("warmup_epochs", 0) >= epochs:
        raise InputError(
            f"{path}: warmup_epochs={cfg['warmup_epochs']} must be below max_epochs={epochs}; "
            "set warmup_epochs too"
        )
    if max_iters is not None:
        _count_iterations(cfg, max_iters)


def _check_options(
    path: str | Path, cfg: Config, options: Mapping[str, Any], variables: Iterable[str]
) -> None:
    """Refuses options that name nothing.

    Raises:
        InputError: With every such option.
    """
    known = {*variables, "max_iters", *(name for name in _READ_BY_NAME if name in cfg)}
    problems = [
        f"{key}: no such variable or field" + did_you_mean(key, known)
        for key in options
        if key != "max_iters" and not _exists(cfg, key)
    ]
    if problems:
        raise InputError(
            f"{path}: --cfg-options cannot be applied. Variables of this config: "
            f"{', '.join(sorted(known))}",
            problems,
        )


def _fill_fields(cfg: Config, table: dict[str, Any], given: Set[str]) -> list[str]:
    """Carries variables into their fields; afterwards their value is the default.

    So a dumped config, in which somebody then edits a field by hand, is taken as it stands.

    Args:
        cfg: Changed in place.
        table: Variable -> (default, fields).
        given: Variables that an option set. They are carried even where they equal the default: a
            child config may have set the field itself to something else.

    Returns:
        Variables that an option set, and that no field of this config takes.
    """
    lost = []
    for name, (default, fields) in table.items():
        if cfg[name] == default and name not in given:
            continue
        # A child config may have replaced a part (a loss, a schedule) and with it the field.
        there = [f for f in (_inside_wrappers(cfg, field) for field in fields) if _is_set(cfg, f)]
        for field in there:
            _set_field(cfg, field, cfg[name])
        if name in given and not there:
            lost.append(name)
        table[name] = (cfg[name], fields)
    return lost


def _inside_wrappers(cfg: Config, key: str) -> str:
    """Returns the field of the data set itself, where a child config put a wrapper around it."""
    head, found, tail = key.partition(".dataset.")
    while (
        found
        and not _is_set(cfg, f"{head}.dataset.{tail}")
        and _is_set(cfg, f"{head}.dataset.dataset")
    ):
        head += ".dataset"
    return f"{head}.dataset.{tail}" if found else key


def _is_set(cfg: Config, key: str) -> bool:
    """Whether a dotted field exists, its last part included."""
    if not _exists(cfg, key):
        return False
    node, last = _parent(cfg, key)
    return isinstance(node, (list, tuple)) or last in node


def _set_field(cfg: Config, key: str, value: Any) -> None:
    """Sets a dotted field, replacing what was there rather than merging into it."""
    node, last = _parent(cfg, key)
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value


def _parent(cfg: Config, key: str) -> tuple[Any, str]:
    """Returns what holds a dotted field, and the field's own name."""
    *parents, last = key.split(".")
    node: Any = cfg
    for name in parents:
        node = node[int(name)] if isinstance(node, (list, tuple)) else node[name]
    return node, last


def _exists(cfg: Config, key: str) -> bool:
    """Whether the parent of a dotted field exists; new leaves such as 'load_from' are allowed."""
    try:
        node, last = _parent(cfg, key)
    except (KeyError, IndexError, ValueError, TypeError):
        return False
    if isinstance(node, (list, tuple)):
        return last.isdigit() and int(last) < len(node)
    if node is cfg:
        return last in cfg or last in _RUNNER_FIELDS
    return isinstance(node, dict)


# Variables that no table carries anywhere: the run looks them up by their names.
_READ_BY_NAME = ("global_batch_size", "load_from", "pretrained", "pretrained_name")
_RUNNER_FIELDS = ("work_dir", "custom_hooks", "model_wrapper_cfg", "auto_scale_lr",
                  "find_unused_parameters", "compile", "experiment_name")  # fmt: skip


def _count_iterations(cfg: Config, max_iters: int) -> None:
    """Makes a run of ``max_iters`` iterations out of an epoch-based config."""
    interval = max(1, max_iters // 10)
    max_epochs = cfg.train_cfg.get("max_epochs")
    cfg.train_cfg = ConfigDict(
        type="IterBasedTrainLoop", max_iters=max_iters, val_interval=interval
    )
    cfg.train_dataloader.sampler = ConfigDict(type="InfiniteSampler", shuffle=True)
    for scheduler in as_list(cfg.get("param_scheduler")):
        if not scheduler.get("by_epoch", True) or not max_epochs:
            continue  # counts iterations already
        scheduler.by_epoch = False
        scheduler.pop("convert_to_iter_based", None)
        for bound in ("total_steps", "begin", "end", "T_max"):
            if scheduler.get(bound):
                scheduler[bound] = max(1, round(scheduler[bound] * max_iters / max_epochs))
    cfg.default_hooks.checkpoint.by_epoch = False
    cfg.default_hooks.checkpoint.interval = interval
    cfg.default_hooks.logger.log_metric_by_epoch = False
    cfg.log_processor.by_epoch = False


def as_list(value: Any) -> list[Any]:
    """Returns a config value that may be absent, one dict or a list of dicts as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


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
