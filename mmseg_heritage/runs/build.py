"""Building what a config names, to find all that cannot be built before a run makes its folder."""

from __future__ import annotations

import contextlib
import inspect
import logging
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import CheckpointHook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmseg.registry import (
    HOOKS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
)
from torch.utils.data import DataLoader

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.datasets.transforms import LoadHeritageImage
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones.timm_weights import RGB
from mmseg_heritage.models.segmentors.connecting import image_channels
from mmseg_heritage.runs.config.iterations import as_list
from mmseg_heritage.runs.config.variables import innermost_datasets
from mmseg_heritage.utils.text import did_you_mean


@contextlib.contextmanager
def config_errors(part: str) -> Iterator[None]:
    """Turns what registries and constructors raise for a bad config into an :class:`InputError`.

    Args:
        part: Key of the config that is built inside the block.
    """
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AssertionError, AttributeError) as error:
        # KeyError quotes its message; the rest of mmengine's is a link to its tutorial.
        reason = str(error.args[0] if error.args else type(error).__name__)
        reason = reason.split(". Please check whether", 1)[0]
        built = _innermost_class(error)
        where = f"{built}: " if built and built not in reason else ""
        raise InputError(f"the config's '{part}' cannot be built: {where}{reason}") from error


def _innermost_class(error: Exception) -> str:
    """Returns the name of the class that a registry was building, seen from an error's frames."""
    name = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "build_from_cfg":
            name = getattr(frame.f_locals.get("obj_cls"), "__name__", name)
    return name


class _SeveralErrors(InputError):
    """What :func:`raise_all` raises for more than one error."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        super().__init__("several things of this run cannot be used", map(str, errors))
        self.errors = errors


@contextlib.contextmanager
def gathered(errors: list[InputError]) -> Iterator[None]:
    """Keeps an :class:`InputError` for later, unless the same one is kept already.

    Args:
        errors: What was found so far; see :func:`raise_all`. Several errors in one are taken apart.
    """
    try:
        yield
    except InputError as found:
        for error in found.errors if isinstance(found, _SeveralErrors) else [found]:
            if str(error) not in map(str, errors):  # all parts fail alike on a missing folder
                errors.append(error)


def raise_all(errors: Sequence[InputError]) -> None:
    """Raises what was gathered, as one error.

    Raises:
        InputError: If there is any.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise _SeveralErrors(errors)


def build_model(cfg: Config) -> torch.nn.Module:
    """Builds the model of a config on the CPU, without loading weights into it.

    Raises:
        InputError: If the config describes no model.
    """
    quiet_known_warnings()
    init_default_scope(cfg.get("default_scope") or "mmseg")
    with config_errors("model"):
        return MODELS.build(cfg.model)


def build_parts(cfg: Config, parts: Sequence[str]) -> torch.nn.Module:
    """Builds once, to throw away, what the Runner would build after it has made the run's folder.

    Args:
        cfg: The run's config.
        parts: Of 'train', 'val', 'test'.

    Returns:
        The model, for more checks.

    Raises:
        InputError: Naming the key that cannot be built.
    """
    errors: list[InputError] = []
    model = None
    with gathered(errors):
        model = build_model(cfg)
    for part in parts:
        with gathered(errors):
            _check_loader(cfg, part)
        with gathered(errors):
            _check_pipeline(cfg, part, model)
        for evaluator in as_list(cfg.get(f"{part}_evaluator")):
            with gathered(errors), config_errors(f"{part}_evaluator"):
                METRICS.build(evaluator)
    for hook in [*(cfg.get("default_hooks") or {}).values(), *as_list(cfg.get("custom_hooks"))]:
        if isinstance(hook, Mapping):
            with gathered(errors):
                _check_hook(hook, model)
    if "train" in parts and model is not None:
        with gathered(errors):
            _check_optimizer(cfg, model)
    raise_all(errors)
    assert model is not None  # mypy: without one there is an error
    return model


def _check_optimizer(cfg: Config, model: torch.nn.Module) -> None:
    """Builds the optimizer and its schedules."""
    with config_errors("optim_wrapper"):
        name = cfg.optim_wrapper.optimizer.type
        if isinstance(name, str) and OPTIMIZERS.get(name) is None:
            raise KeyError(f"there is no optimizer {name}")
        optimizer = build_optim_wrapper(model, ConfigDict(cfg.optim_wrapper))
    for scheduler in as_list(cfg.get("param_scheduler")):
        with config_errors("param_scheduler"):
            options = {k: v for k, v in scheduler.items() if k != "convert_to_iter_based"}
            length = "max_epochs" if options.get("by_epoch", True) else "max_iters"
            options.setdefault("end", cfg.train_cfg.get(length, 1))
            PARAM_SCHEDULERS.build(options, default_args={"optimizer": optimizer})


def _check_hook(hook: Mapping[str, Any], model: torch.nn.Module | None) -> None:
    """Builds a hook of this package; of others only the name is looked up.

    They may need what only a Runner has, as mmseg's SegVisualizationHook does a visualizer.
    """
    with config_errors("default_hooks or custom_hooks"):
        kind = HOOKS.get(hook["type"]) if isinstance(hook["type"], str) else hook["type"]
        if kind is None:
            raise KeyError(f"there is no hook {hook['type']}")
        if issubclass(kind, CheckpointHook):
            # It hands names that it does not know to the Runner, which fails at the first save.
            inits = (kind.__init__, CheckpointHook.__init__)
            known = {name for init in inits for name in inspect.signature(init).parameters}
            unknown = [name for name in hook if name not in known and name != "type"]
            if unknown:
                raise TypeError(
                    f"{hook['type']} has no {', '.join(unknown)}{did_you_mean(unknown[0], known)}"
                )
        if not kind.__module__.startswith("mmseg_heritage."):
            return
        built = HOOKS.build(hook)
    if model is not None and hasattr(built, "check_model"):
        built.check_model(model)


def _check_pipeline(cfg: Config, part: str, model: torch.nn.Module | None) -> None:
    """Builds the steps; refuses color images for a backbone of more or fewer channels."""
    key = f"{part}_dataloader.dataset.pipeline"
    with config_errors(key):
        found = innermost_datasets(cfg, f"{part}_dataloader")
        pipeline = found[0].get("pipeline") or [] if found else []
        steps = [TRANSFORMS.build(step) for step in pipeline]
    backbone = getattr(model, "backbone", None)
    channels = RGB if backbone is None else image_channels(backbone)
    if channels != RGB and any(type(step) is LoadHeritageImage for step in steps):
        raise InputError(
            f"{key}: LoadHeritageImage gives images of {RGB} channels, but model.backbone takes "
            f"{channels}; put a loading step of your own there, or set in_channels={RGB}"
        )


def _check_loader(cfg: Config, part: str) -> None:
    """Refuses settings that neither torch's DataLoader nor mmengine knows."""
    known = {*inspect.signature(DataLoader).parameters, "dataset", "num_batch_per_epoch"}
    unknown = [f"{key}: no such setting" for key in cfg[f"{part}_dataloader"] if key not in known]
    if unknown:
        raise InputError(
            f"the config's '{part}_dataloader' takes {', '.join(sorted(known))}", unknown
        )


def quiet_known_warnings() -> None:
    """Hides warnings of the stack that say nothing about the user's run."""
    # torch.optim's order is checked before a GradScaler may skip the first step.
    warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
    # mmengine's file client is deprecated by mmengine itself.
    warnings.filterwarnings("ignore", message=".*HardDiskBackend.*", category=DeprecationWarning)
    # mmseg's heads call their own deprecated build_loss.
    warnings.filterwarnings("ignore", message="``build_loss`` would be deprecated")
    # Two classes have two channels here, as all other numbers of classes do.
    warnings.filterwarnings("ignore", message="For binary segmentation, we suggest")
    warnings.filterwarnings("ignore", message=".*pkg_resources is deprecated.*")
    # mmseg's hook draws for mmseg's own --show-dir only.
    warnings.filterwarnings("ignore", message="The draw is False")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
