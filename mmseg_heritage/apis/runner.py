"""What training and testing share: the folder of a run, the checks before it, the Runner."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.registry import DATASETS

from mmseg_heritage.apis.config import check_classes
from mmseg_heritage.data.check import check_pixels
from mmseg_heritage.data.folder import Sample
from mmseg_heritage.datasets import ARTeFACTDataset
from mmseg_heritage.engine.launch import is_main_process, prepare_distributed
from mmseg_heritage.errors import InputError
from mmseg_heritage.progress import progress_bar


def work_dir_of(cfg: Config, config_path: str | Path, work_dir: str | None) -> Path:
    """Returns the run's folder: the argument, the config's, or ``work_dirs/<config name>``."""
    chosen = work_dir or cfg.get("work_dir") or Path("work_dirs") / Path(config_path).stem
    return Path(chosen).expanduser().resolve()


def build_datasets(cfg: Config, names: Sequence[str]) -> list[ARTeFACTDataset]:
    """Builds data sets without their pipelines, to learn what they hold before anything is run.

    Args:
        cfg: The run's config.
        names: Of 'train', 'val', 'test'.

    Raises:
        InputError: With the problems of all of them, and where heads have another number of classes.
    """
    datasets, summaries, problems = [], [], []
    for name in names:
        try:
            options = {**cfg[f"{name}_dataloader"].dataset, "pipeline": []}
            datasets.append(DATASETS.build(options))
        except InputError as error:
            if str(error) not in summaries:  # train, val and test fail alike on a missing folder
                summaries.append(str(error))
                problems += error.problems
    if len(summaries) == 1:
        raise InputError(summaries[0].splitlines()[0], problems)
    if summaries:
        raise InputError("the data sets of this run cannot be read", summaries)
    check_classes(cfg, len(datasets[0].metainfo["classes"]))
    return datasets


def check_data(datasets: Sequence[ARTeFACTDataset]) -> None:
    """Decodes every image and mask once, on the main process, with a progress bar.

    Raises:
        InputError: With the faults of all files.
    """
    if not is_main_process():
        return
    samples: dict[Path, Sample] = {}
    for dataset in datasets:
        samples.update({s.image: s for s in dataset.read_samples()})
    with progress_bar("checking the data") as report:
        check_pixels(list(samples.values()), report)


def build_runner(cfg: Config, build: Callable[[Config], Runner] = Runner.from_cfg) -> Runner:
    """Builds the Runner for the launcher and device at hand."""
    quiet_known_warnings()
    prepare_distributed(cfg)
    _fit_workers(cfg)
    return build(cfg)


def _fit_workers(cfg: Config) -> None:
    """persistent_workers without workers is an error in torch; num_workers=0 is for debugging."""
    for name in ("train", "val", "test"):
        loader = cfg.get(f"{name}_dataloader")
        if loader and not loader.get("num_workers"):
            loader.persistent_workers = False


def quiet_known_warnings() -> None:
    """Hides warnings of the stack that say nothing about the user's run."""
    # torch.optim's order is checked before a GradScaler may skip the first step.
    warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
    # mmengine's file client is deprecated by mmengine itself.
    warnings.filterwarnings("ignore", message=".*HardDiskBackend.*", category=DeprecationWarning)
    # mmseg's heads call their own deprecated build_loss.
    warnings.filterwarnings("ignore", message="``build_loss`` would be deprecated")
    warnings.filterwarnings("ignore", message=".*pkg_resources is deprecated.*")
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
