"""What training and testing share: the folder of a run, the checks before it, the Runner."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.dist import broadcast_object_list
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
)
from torch.utils.data import DataLoader

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.dataprep.checks.sample_check import check_pixels
from mmseg_heritage.dataprep.splits.split import Split
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.datasets.caches.pixel_cache import check_memory
from mmseg_heritage.datasets.transforms import LoadHeritageImage
from mmseg_heritage.engine.launch import prepare_distributed
from mmseg_heritage.errors import InputError
from mmseg_heritage.models.backbones.timm_weights import RGB
from mmseg_heritage.models.segmentors.heritage_encoder_decoder import image_channels
from mmseg_heritage.runs.config.class_weights import check_weights
from mmseg_heritage.runs.config.contradictions import check_classes, check_trees
from mmseg_heritage.runs.config.iterations import as_list
from mmseg_heritage.runs.config.variables import innermost_datasets
from mmseg_heritage.runs.machine import fit_last_batch, fit_loaders
from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.progress import progress_bar


def work_dir_of(cfg: Config, config_path: str | Path, work_dir: str | None) -> Path:
    """Returns the run's folder: the argument, the config's, or ``work_dirs/<config name>``."""
    chosen = work_dir or cfg.get("work_dir") or Path("work_dirs") / Path(config_path).stem
    return output_folder(chosen)


def output_folder(path: str | Path) -> Path:
    """Returns the absolute path of a folder to write to, which need not exist yet.

    Raises:
        InputError: If something else than a folder is in the way.
    """
    folder = Path(path).expanduser().resolve()
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise InputError(f"{place}: expected a folder to write to, found a file")
            break
    return folder


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
        raise InputError(f"the config's '{part}' cannot be built: {reason}") from error


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
    model = build_model(cfg)
    for part in parts:
        _check_loader(cfg, part)
        key = f"{part}_dataloader.dataset.pipeline"
        with config_errors(key):
            pipeline = innermost_datasets(cfg, f"{part}_dataloader")[0].get("pipeline") or []
            _check_channels(key, [TRANSFORMS.build(step) for step in pipeline], model)
        for evaluator in as_list(cfg.get(f"{part}_evaluator")):
            with config_errors(f"{part}_evaluator"):
                METRICS.build(evaluator)
    for hook in [*(cfg.get("default_hooks") or {}).values(), *as_list(cfg.get("custom_hooks"))]:
        if isinstance(hook, Mapping):
            _check_hook(hook, model)
    if "train" in parts:
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
    return model


def _check_hook(hook: Mapping[str, Any], model: torch.nn.Module) -> None:
    """Builds a hook of this package; of others only the name is looked up.

    They may need what only a Runner has, as mmseg's SegVisualizationHook does a visualizer.
    """
    with config_errors("default_hooks or custom_hooks"):
        kind = HOOKS.get(hook["type"]) if isinstance(hook["type"], str) else hook["type"]
        if kind is None:
            raise KeyError(f"there is no hook {hook['type']}")
        if not kind.__module__.startswith("mmseg_heritage."):
            return
        built = HOOKS.build(hook)
    if hasattr(built, "check_model"):
        built.check_model(model)


def _check_channels(key: str, steps: Sequence[object], model: torch.nn.Module) -> None:
    """Refuses to load color images for a backbone that takes more or fewer channels."""
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


@dataclass(frozen=True)
class Prepared:
    """A run that can start: everything in it has been read, built or checked once.

    Attributes:
        cfg: The config as it is run and dumped.
        datasets: Part ('train', 'val', 'test') -> its data sets without pipelines and wrappers.
        split: What the data set is divided by; None for a data set that is divided in other ways.
        model: The model of the config, on the CPU, without weights.
    """

    cfg: Config
    datasets: Mapping[str, Sequence[BaseDataset]]
    split: Split | None
    model: torch.nn.Module

    def own_datasets(self) -> list[ARTeFACTDataset]:
        """Returns the data sets of this package's own kind, of all parts."""
        everything = (dataset for found in self.datasets.values() for dataset in found)
        return [dataset for dataset in everything if isinstance(dataset, ARTeFACTDataset)]


def prepare(cfg: Config, parts: Sequence[str]) -> Prepared:
    """Fits a config to the machine, and builds and checks what it names, before anything is run.

    Args:
        cfg: The config with its options and ``launcher``; changed in place, see
            :mod:`mmseg_heritage.runs.machine`.
        parts: Of 'train', 'val', 'test'.

    Raises:
        InputError: If anything in the config cannot be used.
    """
    prepare_distributed(cfg)
    fit_loaders(cfg)
    datasets = build_datasets(cfg, parts)
    own = [d for found in datasets.values() for d in found if isinstance(d, ARTeFACTDataset)]
    split = own[0].read_split()[0] if own else None
    if split is not None:
        check_weights(cfg, split)
    model = build_parts(cfg, parts)
    if "train" in parts:
        fit_last_batch(cfg, model, sum(map(len, datasets["train"])))
    return Prepared(cfg, datasets, split, model)


def build_datasets(cfg: Config, parts: Sequence[str]) -> dict[str, list[BaseDataset]]:
    """Builds data sets without their pipelines, to learn what they hold before anything is run.

    Args:
        cfg: The run's config.
        parts: Of 'train', 'val', 'test'.

    Returns:
        Part -> the data sets inside its wrappers.

    Raises:
        InputError: With the problems of all of them, where they or the heads differ in the number
            of classes, and where the memory cannot hold what they are to keep in it.
    """
    datasets: dict[str, list[BaseDataset]] = {part: [] for part in parts}
    errors: list[InputError] = []
    for part in parts:
        key = f"{part}_dataloader"
        found = innermost_datasets(cfg, key)
        if not found:
            errors.append(InputError(f"the config's '{key}' has no data set"))
        for options in found:
            try:
                with config_errors(f"{key}.dataset"):
                    datasets[part].append(DATASETS.build({**options, "pipeline": []}))
            except InputError as error:
                if str(error) not in map(str, errors):  # all parts fail alike on a missing folder
                    errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise InputError("the data sets of this run cannot be read", map(str, errors))
    numbers = {part: len(d.metainfo["classes"]) for part in parts for d in datasets[part]}
    if len(set(numbers.values())) > 1:
        raise InputError(
            "the parts of this run have different numbers of classes; set level, with_background "
            "or metainfo of all of them alike",
            [f"{part}_dataloader.dataset has {number}" for part, number in numbers.items()],
        )
    check_classes(cfg, numbers[parts[0]])
    check_trees(cfg, datasets[parts[0]][0].metainfo["classes"])
    own = [d for found in datasets.values() for d in found if isinstance(d, ARTeFACTDataset)]
    kept = [item for d in own if d.cache == "ram" for item in d.cache_items()]
    if kept:
        check_memory(kept)
    return datasets


def missing_extras(prepared: Prepared) -> list[str]:
    """Lists what a training does without, because the config has parts of others in places of ours.

    Args:
        prepared: A training.

    Returns:
        One line each; none for the shipped configs.
    """
    cfg = prepared.cfg
    found = []
    others = {type(d).__name__ for d in prepared.datasets["train"]
              if not isinstance(d, ARTeFACTDataset)}  # fmt: skip
    if others:
        found.append(
            f"train_dataloader.dataset ({', '.join(sorted(others))}): no split by source object, "
            "no check of images and masks before training, no protection from testing on images "
            "that were trained on"
        )
    sampler = (cfg.train_dataloader.get("sampler") or {}).get("type")
    outer = cfg.train_dataloader.dataset.get("type")
    if not str(sampler).startswith("Numbered") or outer not in ("ARTeFACTDataset", "SeededDataset"):
        found.append(
            f"train_dataloader ({sampler} of {outer}): a resumed run sees other augmentations than "
            "the unbroken one; NumberedSampler with dataset=dict(type='SeededDataset', "
            "dataset=...) repeats them"
        )
    if not str(cfg.train_cfg.get("type")).startswith("Resumable"):
        found.append(
            f"train_cfg ({cfg.train_cfg.get('type')}): dropout of a resumed run differs, and it "
            "cannot go on in the middle of an epoch; ResumableEpochLoop and ResumableIterLoop can"
        )
    return found


def check_data(datasets: Sequence[ARTeFACTDataset]) -> None:
    """Decodes images and masks that nobody has verified yet, on the main process, with a bar.

    The other processes wait for its verdict, so that none starts on data that it refuses.

    Raises:
        InputError: With the faults of all files.
    """
    verdict: list[InputError | None] = [None]
    if is_main_process():
        samples = {
            (str(d.folder.root), sample.image): (d.folder.verified, sample)
            for d in datasets
            for sample in d.read_samples()
        }
        try:
            with progress_bar("checking the data") as report:
                check_pixels(list(samples.values()), report)
        except InputError as error:
            verdict = [error]
    broadcast_object_list(verdict)
    if verdict[0] is not None:
        raise verdict[0]


def build_runner(cfg: Config) -> Runner:
    """Builds the Runner, which makes the run's folder.

    With ``randomness.deterministic`` two runs on a CPU are bit-equal. On CUDA, torch has no
    deterministic kernels for adaptive average pooling backwards (UPerNet, DeepLab), for losses over
    maps of labels (``nll_loss2d``) and, by version, for bilinear resizing backwards: it warns of
    each, where mmengine alone would stop the run.
    """
    deterministic = cfg.get("randomness", {}).get("deterministic", False)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    with config_errors("run"):
        runner = Runner.from_cfg(cfg)
    if deterministic and torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
    return runner


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
