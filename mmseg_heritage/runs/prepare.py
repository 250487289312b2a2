"""What training and testing share: the folder of a run, the checks before it, the Runner."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import broadcast_object_list
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmseg.registry import DATA_SAMPLERS, DATASETS
from numpy.typing import NDArray

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.dataprep.checks.mask_values import set_warnings
from mmseg_heritage.dataprep.checks.sample_check import check_pixels
from mmseg_heritage.dataprep.splits.split import Split
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.datasets.caches.pixel_cache import check_memory
from mmseg_heritage.engine.runners import QuietRunner, WholeConfigRunner
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.build import build_parts, config_errors, gathered, raise_all
from mmseg_heritage.runs.checkpoint_room import check_room
from mmseg_heritage.runs.config.class_weights import check_weights
from mmseg_heritage.runs.config.contradictions import (
    check_classes,
    check_iterations,
    check_trees,
)
from mmseg_heritage.runs.config.variables import innermost_datasets
from mmseg_heritage.runs.loader_workers import fit_workers
from mmseg_heritage.runs.machine import fit_last_batch, fit_loaders, training_length
from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.files import output_folder
from mmseg_heritage.utils.folder_lock import locked_folder
from mmseg_heritage.utils.progress import progress_bar


def work_dir_of(cfg: Config, config_path: str | Path, work_dir: str | None) -> Path:
    """Returns the run's folder: the argument, the config's, or ``work_dirs/<config name>``."""
    chosen = work_dir or cfg.get("work_dir") or Path("work_dirs") / Path(config_path).stem
    return output_folder(chosen)


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Keeps other runs from writing into a folder; one process locks it for all of this run.

    Raises:
        InputError: On all processes, see :func:`mmseg_heritage.utils.folder_lock.locked_folder`.
    """
    problem = None
    with contextlib.ExitStack() as stack:
        if is_main_process():
            try:
                stack.enter_context(locked_folder(folder))
            except InputError as error:
                problem = error
        _raise_on_all(problem)
        yield


def _raise_on_all(problem: InputError | None) -> None:
    """Raises what the main process has met, if anything, on all processes."""
    verdict = [problem]
    broadcast_object_list(verdict)
    if verdict[0] is not None:
        raise verdict[0]


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
        return _own(self.datasets)


def _own(datasets: Mapping[str, Sequence[BaseDataset]]) -> list[ARTeFACTDataset]:
    return [d for found in datasets.values() for d in found if isinstance(d, ARTeFACTDataset)]


def prepare(cfg: Config, parts: Sequence[str]) -> Prepared:
    """Fits a config to the machine, and builds and checks what it names, before anything is run.

    Args:
        cfg: The config with its options and ``launcher``; changed in place, see
            :mod:`mmseg_heritage.runs.machine`.
        parts: Of 'train', 'val', 'test'.

    Raises:
        InputError: If anything in the config cannot be used.
    """
    fit_loaders(cfg)
    errors: list[InputError] = []
    with gathered(errors):
        datasets = build_datasets(cfg, parts)
        own = _own(datasets)
        split = own[0].read_split()[0] if own else None
        if split is not None:
            check_weights(cfg, split)
        if "train" in parts:
            _check_domains(cfg, datasets["train"])
    with gathered(errors):
        model = build_parts(cfg, parts)
    raise_all(errors)
    fit_workers(cfg, datasets)
    if "train" in parts:
        num_samples = sum(map(len, datasets["train"]))
        fit_last_batch(cfg, model, num_samples)
        if iterations := training_length(cfg, num_samples):
            check_iterations(cfg, iterations)
        if cfg.get("work_dir"):
            _check_room(cfg, model)
    return Prepared(cfg, datasets, split, model)


def _check_room(cfg: Config, model: torch.nn.Module) -> None:
    """Looks at the disk in the process that writes to it."""
    errors: list[InputError] = []
    if is_main_process():
        with gathered(errors):
            check_room(cfg, model)
    _raise_on_all(errors[0] if errors else None)


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
            with gathered(errors), config_errors(f"{key}.dataset"):
                datasets[part].append(DATASETS.build({**options, "pipeline": []}))
    raise_all(errors)
    numbers = {part: len(d.metainfo["classes"]) for part in parts for d in datasets[part]}
    if len(set(numbers.values())) > 1:
        raise InputError(
            "the parts of this run have different numbers of classes; set level, with_background "
            "or metainfo of all of them alike",
            [f"{part}_dataloader.dataset has {number}" for part, number in numbers.items()],
        )
    check_classes(cfg, numbers[parts[0]])
    check_trees(cfg, datasets[parts[0]][0].metainfo["classes"])
    own = _own(datasets)
    kept = [item for d in own if d.cache == "ram" for item in d.cache_items()]
    if kept:
        check_memory(kept)
    return datasets


def _check_domains(cfg: Config, datasets: Sequence[BaseDataset]) -> None:
    """Builds a sampler of domains once: the training images may be of too few of them."""
    sampler = cfg.train_dataloader.get("sampler") or {}
    if sampler.get("type") == "DomainBatchSampler" and len(datasets) == 1:
        with config_errors("train_dataloader.sampler"):
            DATA_SAMPLERS.build({**sampler, "dataset": datasets[0], "seed": 0})


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
    seeds = str(sampler).startswith(("Numbered", "DomainBatch"))
    if not seeds or outer not in ("ARTeFACTDataset", "SeededDataset"):
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


def check_data(datasets: Sequence[ARTeFACTDataset]) -> Mapping[Path, NDArray[np.int64]]:
    """Decodes images and masks that nobody has verified yet, on the main process, with a bar.

    The other processes wait for its verdict, so that none starts on data that it refuses.

    Returns:
        Mask -> its number of pixels of each class, then those of 255; empty on other processes.

    Raises:
        InputError: With the faults of all files.
    """
    problem = None
    pixels: Mapping[Path, NDArray[np.int64]] = {}
    if is_main_process():
        samples = {
            (str(d.folder.root), sample.image, sample.annotation): (d.folder.verified, sample)
            for d in datasets
            for sample in d.read_samples()
        }
        try:
            with progress_bar("checking the data") as report:
                pixels = check_pixels(list(samples.values()), report)
            _check_values(datasets, pixels)
        except InputError as error:
            problem = error
    _raise_on_all(problem)
    return pixels


def _check_values(
    datasets: Sequence[ARTeFACTDataset], pixels: Mapping[Path, NDArray[np.int64]]
) -> None:
    """Says what the values of the masks of each part tell.

    Raises:
        InputError: If a part has no labeled pixel.
    """
    problems, said = [], []
    for dataset in datasets:
        samples = dataset.read_samples()
        counts = np.array([pixels[sample.annotation] for sample in samples])
        place = f"{dataset.data_root}, part '{dataset.split}'"
        if not counts[:, :-1].any():
            problems.append(f"{place}: every pixel of its {len(samples)} masks is 255")
            continue
        said += [f"{place}: {text}" for text in set_warnings(counts, samples[0].classes)]
    if problems:
        raise InputError(
            "a part has no labeled pixel, so that nothing can be learned or scored there; see "
            "mmseg-heritage check-data",
            problems,
        )
    for text in dict.fromkeys(said):
        print_log(text, "current", logging.WARNING)


def build_runner(cfg: Config, verbose: bool) -> Runner:
    """Builds the Runner, which makes the run's folder.

    With ``randomness.deterministic`` two runs on a CPU are bit-equal. On CUDA, torch has no
    deterministic kernels for adaptive average pooling backwards (UPerNet, DeepLab), for losses over
    maps of labels (``nll_loss2d``) and, by version, for bilinear resizing backwards: it warns of
    each, where mmengine alone would stop the run.

    Args:
        cfg: The run's config.
        verbose: Shows mmengine's log on the console too, not only warnings.
    """
    deterministic = cfg.get("randomness", {}).get("deterministic", False)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    with config_errors("run"):
        runner = (WholeConfigRunner if verbose else QuietRunner).from_cfg(cfg)
    if deterministic and torch.cuda.is_available():
        torch.use_deterministic_algorithms(True, warn_only=True)
    return runner
