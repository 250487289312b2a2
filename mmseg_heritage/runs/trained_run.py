"""What a checkpoint tells of the run that wrote it: nothing else is needed to predict and test."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mmseg.registry
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry
from mmengine.utils import import_modules_from_strings

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.engine.hooks.whole_checkpoint_hook import LAST_VALIDATED
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.baseline import read_scores
from mmseg_heritage.evaluation.metric import VALIDATION
from mmseg_heritage.inference.training_features import (
    TrainingFeatures,
    of_checkpoint,
    read_training_features,
)
from mmseg_heritage.runs.config.checkpoint_config import config_of_checkpoint
from mmseg_heritage.runs.config.config_files import load_config, with_options
from mmseg_heritage.runs.origin import check_same_model
from mmseg_heritage.utils.checkpoints.checkpoint import (
    checkpoint_reading,
    classes_of,
    load_checkpoint_file,
    meta_of,
    weights_of,
)

# Parts of a config that only training reads.
_TRAINING = ("train_dataloader", "train_cfg", "val_dataloader", "val_cfg", "val_evaluator",
             "optim_wrapper", "param_scheduler", "auto_scale_lr", "class_weights_file")  # fmt: skip
# Where a model names files that only training reads: its weights come from the checkpoint.
_FILES = ("class_weight", "init_cfg", "pretrained", "checkpoint_path")
# Packages of OpenMMLab whose registries join those of mmseg when they are named: 'mmpretrain.ViT'.
_SCOPES = {"mmpretrain", "mmdet"}
_START_TIME = re.compile(r"_?\d{8}_\d{6}$")  # what mmengine adds to the name of an experiment


@dataclass(frozen=True)
class TrainedRun:
    """A trained model, read from its checkpoint but not built.

    Attributes:
        checkpoint: The file.
        cfg: The run's config, without what names files that only training reads. Its file name is
            that of the config that was trained.
        weights: Name -> tensor, on the CPU.
        dataset_meta: Classes, palette and what else the training data said of itself; empty where
            the checkpoint does not tell.
        training_features: What tells photographs from those of the training; None where the
            checkpoint does not tell.
        validation: Scores of the validation of these weights, see
            :func:`mmseg_heritage.evaluation.baseline.scores_beside_clean`; empty where it was none.
    """

    checkpoint: Path
    cfg: Config
    weights: Mapping[str, torch.Tensor]
    dataset_meta: Mapping[str, Any]
    validation: Mapping[str, Any]
    training_features: TrainingFeatures | None = None


def read_trained_run(
    checkpoint: str | Path,
    config: str | Path | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    trust_checkpoint: bool = False,
) -> TrainedRun:
    """Reads a checkpoint, and the config of its run.

    Args:
        checkpoint: Checkpoint file.
        config: Config file, or the name of a shipped one; the config inside the checkpoint if None.
        cfg_options: Dotted key -> value, see
            :func:`mmseg_heritage.runs.config.config_files.load_config`.
        trust_checkpoint: Lets the checkpoint run code: what it stores, the modules that its config
            imports, and any function that its config names.

    Raises:
        InputError: If the file is no checkpoint, holds weights that are not numbers, or was trained
            as another model than the config describes; and without ``config``, if it holds no
            config or one that names code.
    """
    with checkpoint_reading(trust_checkpoint):
        content = load_checkpoint_file(checkpoint)
    weights = weights_of(content, checkpoint)
    _check_numbers(weights, checkpoint)
    meta, classes = meta_of(content, checkpoint), classes_of(content, checkpoint)
    options = dict(cfg_options or {})
    if config is not None:
        cfg = load_config(config, options)
    else:
        cfg = _own_config(content, checkpoint, _experiment(meta) or Path(checkpoint).stem)
        cfg.model = _without_files(cfg.get("model"))
        cfg = with_options(cfg, options, str(checkpoint))
        for part in _TRAINING:
            cfg.pop(part, None)
        if trust_checkpoint and cfg.get("custom_imports"):
            import_modules_from_strings(**cfg.custom_imports)
        if not trust_checkpoint:
            refuse_code(cfg, checkpoint)
    if meta.get("cfg") is not None and (config is not None or options):
        check_same_model(cfg, config_of_checkpoint(content, checkpoint), checkpoint)
    cfg.model = _without_files(cfg.get("model"))
    return TrainedRun(
        Path(checkpoint),
        cfg,
        weights,
        meta["dataset_meta"] if classes else {},
        read_scores(_validation(content)),
        read_training_features(of_checkpoint(content), str(checkpoint)),
    )


def _validation(content: Any) -> Any:
    """Returns the scores of the validation of these weights: of the same iteration, not before."""

    def inside(*keys: str) -> Any:
        found = content
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    hub = ("message_hub", "runtime_info")
    validated, written = inside(*hub, LAST_VALIDATED), inside("meta", "iter")
    return inside(*hub, VALIDATION) if validated is not None and validated == written else None


def _own_config(content: Any, checkpoint: str | Path, name: str) -> Config:
    """Returns the config inside a checkpoint, under the file name of the config that was run."""
    fields = config_of_checkpoint(content, checkpoint).to_dict()
    # A Config of a name without a text would read the file of that name.
    return Config(fields, cfg_text="# from a checkpoint", filename=f"{name}.py")


def _experiment(meta: Mapping[str, Any]) -> str:
    """Returns the name of the config file that was run; empty where the checkpoint has none."""
    return Path(_START_TIME.sub("", str(meta.get("experiment_name") or ""))).name


def _check_numbers(weights: Mapping[str, torch.Tensor], checkpoint: str | Path) -> None:
    """Refuses weights that are NaN or infinite: their maps would look like maps."""
    problems = [
        name
        for name, tensor in weights.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all()
    ]
    if problems:
        raise InputError(
            f"{checkpoint}: these weights are not numbers (NaN or infinite): the training has "
            "failed. Take an earlier checkpoint of the run",
            problems,
        )


def _without_files(node: Any) -> Any:
    """Returns a part of a model's config without the files that only training reads."""
    if isinstance(node, Mapping):
        kept = {key: _without_files(value) for key, value in node.items() if key not in _FILES}
        return ConfigDict(kept)
    if isinstance(node, (list, tuple)):
        return [_without_files(value) for value in node]
    return node


def refuse_code(cfg: Config, checkpoint: str | Path) -> None:
    """Refuses names in the config of a checkpoint that mmengine would import and call.

    Where a registry does not have a ``type``, mmengine takes it for the path of any Python object,
    such as 'os.system', imports its module and calls it with the other fields.

    Raises:
        InputError: With all such names.
    """
    types = set(_types(cfg.to_dict()))
    registered = _registered_names(types)
    problems = sorted(name for name in types - registered if _can_be_imported(name.split(".")[0]))
    if problems:
        raise InputError(
            f"{checkpoint}: refused, because the config in this checkpoint names Python code that "
            "is not registered. If you made the file yourself or trust who did, add "
            "--trust-checkpoint, or give the config with --config",
            problems,
        )


def _types(node: Any) -> Iterator[str]:
    """Yields all values of 'type' in a config."""
    if isinstance(node, Mapping):
        if isinstance(node.get("type"), str):
            yield node["type"]
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _types(value)


def _registered_names(types: Collection[str]) -> set[str]:
    """Returns all names that the registries of the stack hold, with and without their scope."""
    names: set[str] = set()
    for scope in _SCOPES & {name.split(".")[0] for name in types}:
        with contextlib.suppress(ImportError):
            import_module(f"{scope}.registry")

    def collect(registry: Registry) -> None:
        registry.import_from_location()
        for name in registry.module_dict:
            names.update((name, f"{registry.scope}.{name}"))
        for child in registry.children.values():
            collect(child)

    for registry in vars(mmseg.registry).values():
        if isinstance(registry, Registry):
            collect(registry.root)
    return names


def _can_be_imported(module: str) -> bool:
    """Whether Python would find a module of this name."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a name such as ''
        return True
