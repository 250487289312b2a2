"""Training a model from a config."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.apis.config import load_config
from mmseg_heritage.apis.pretrained import resolve_pretrained
from mmseg_heritage.apis.runner import build_datasets, build_runner, check_data, work_dir_of
from mmseg_heritage.engine.checkpoint import trusting_checkpoints
from mmseg_heritage.engine.launch import is_main_process
from mmseg_heritage.errors import InputError
from mmseg_heritage.files import write_json

AUTO = "auto"


def train(
    config: str | Path,
    work_dir: str | None = None,
    resume: str | None = None,
    amp: bool = False,
    cfg_options: Mapping[str, Any] | None = None,
    launcher: str = "none",
    overwrite: bool = False,
    skip_data_check: bool = False,
    trust_checkpoint: bool = False,
) -> Path:
    """Trains a model and keeps its last and its best checkpoint.

    Args:
        config: Config file.
        work_dir: Folder of the run; ``work_dirs/<config name>`` if None.
        resume: 'auto' for the latest checkpoint in the run's folder, or a checkpoint file.
        amp: Turns mixed precision on in a config that does not have it.
        cfg_options: Dotted key -> value, see :func:`mmseg_heritage.apis.config.load_config`.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        overwrite: Allows a new run in a folder that holds one.
        skip_data_check: Does not decode all images and masks before training.
        trust_checkpoint: Lets checkpoints run code.

    Returns:
        The run's folder.

    Raises:
        InputError: If the data, the config or a checkpoint cannot be used; nothing is written then.
    """
    cfg = load_config(config, cfg_options)
    cfg.launcher = launcher
    folder = work_dir_of(cfg, config, work_dir)
    cfg.work_dir = str(folder)
    if amp:
        cfg.optim_wrapper.type = "DeviceAmpOptimWrapper"
    _set_resume(cfg, folder, resume, overwrite)
    resolve_pretrained(cfg)
    datasets = build_datasets(cfg, ("train", "val"))
    if not skip_data_check:
        check_data(datasets)
    with trusting_checkpoints(trust_checkpoint):
        runner = build_runner(cfg)
        if is_main_process():
            write_json(folder / "split.json", datasets[0].read_split()[0].to_json())
        runner.train()
    return folder


def _set_resume(cfg: Config, folder: Path, resume: str | None, overwrite: bool) -> None:
    """Decides what the run starts from, and guards the run that is already in the folder."""
    if resume is None:
        if (folder / "last_checkpoint").exists() and not overwrite:
            raise InputError(
                f"{folder}: this folder already holds a run. Continue it with --resume, choose another "
                "--work-dir, or replace it with --overwrite"
            )
        return
    cfg.resume = True
    if resume == AUTO:
        cfg.load_from = None
    elif Path(resume).is_file():
        cfg.load_from = resume
    else:
        raise InputError(f"{resume}: no such checkpoint to resume from")
