"""Training a model from a config."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

import mmseg_heritage.plugin  # noqa: F401  registers everything
from mmseg_heritage.dataprep.splits.split import SPLIT_FILE
from mmseg_heritage.engine.checkpoint_files import LAST, LIST
from mmseg_heritage.engine.hooks.console_hook import ConsoleHook
from mmseg_heritage.engine.hooks.preemption_hook import PreemptionHook, end_workers
from mmseg_heritage.engine.hooks.whole_checkpoint_hook import BEST_VALIDATION
from mmseg_heritage.engine.launch import prepare_distributed, watching_processes
from mmseg_heritage.engine.runners import quiet
from mmseg_heritage.errors import InputError
from mmseg_heritage.evaluation.metric import VALIDATION
from mmseg_heritage.evaluation.summary import METRICS_FILE
from mmseg_heritage.evaluation.tested_runs import EVALUATION_FOLDER
from mmseg_heritage.runs.config.config_files import load_config
from mmseg_heritage.runs.console import training_console
from mmseg_heritage.runs.environment import environment
from mmseg_heritage.runs.loader_workers import explaining_lost_workers
from mmseg_heritage.runs.origin import check_same_classes
from mmseg_heritage.runs.prepare import (
    Prepared,
    build_runner,
    check_data,
    missing_extras,
    prepare,
    sole_writer,
    work_dir_of,
)
from mmseg_heritage.runs.pretrained import (
    check_pretrained,
    fetch_pretrained,
    leave_out_initialization,
    record_license,
    require_pretrained_file,
)
from mmseg_heritage.runs.resume import (
    ENVIRONMENT,
    best_checkpoint,
    check_same_run,
    latest_checkpoint,
    latest_whole_checkpoint,
    read_environment,
    training_config,
)
from mmseg_heritage.utils.checkpoints.checkpoint import (
    check_fits,
    check_resumable,
    checkpoint_reading,
    load_checkpoint_file,
    meta_of,
)
from mmseg_heritage.utils.distributed import alone, is_main_process
from mmseg_heritage.utils.files import write_json
from mmseg_heritage.visualization.report.report_text import validation_summary

AUTO = "auto"


@watching_processes()
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
    verbose: bool = False,
) -> Path:
    """Trains a model and keeps its last and its best checkpoint.

    Args:
        config: Config file.
        work_dir: Folder of the run; ``work_dirs/<config name>`` if None.
        resume: 'auto' for the latest checkpoint in the run's folder, or a checkpoint file. Where
            'auto' finds none the run starts again, so that one command serves a job's first start
            and every restart.
        amp: Turns mixed precision on in a config that does not have it.
        cfg_options: Dotted key -> value, see
            :func:`mmseg_heritage.runs.config.config_files.load_config`.
        launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        overwrite: Allows a new run in a folder that holds one.
        skip_data_check: Does not decode all images and masks before training.
        trust_checkpoint: Lets checkpoints run code.
        verbose: Shows mmengine's log, in place of a line for each epoch.

    Returns:
        The run's folder.

    Raises:
        InputError: If the data, the config or a checkpoint cannot be used; nothing is written then.
            Also if the loss is not finite, or the disk is full.
        SystemExit: With code 75, after a checkpoint was saved because a signal came, see
            :class:`mmseg_heritage.engine.hooks.PreemptionHook`.
    """
    if not verbose:
        quiet(MMLogger.get_current_instance())
    cfg = load_config(config, cfg_options)
    cfg.launcher = launcher
    folder = work_dir_of(cfg, config, work_dir)
    cfg.work_dir = str(folder)
    if amp:
        _turn_amp_on(cfg)
    # The test part too: faults in it should not wait until the training is over.
    parts = [part for part in ("train", "val", "test") if cfg.get(f"{part}_dataloader")]
    prepare_distributed(cfg)
    with sole_writer(folder), checkpoint_reading(trust_checkpoint):
        _set_resume(cfg, folder, resume, overwrite)
        if not cfg.resume:
            require_pretrained_file(cfg)
        prepared = prepare(cfg, parts)
        training = training_config(cfg)
        if cfg.resume and resume == AUTO:
            check_same_run(folder, training, prepared.split)
        if not cfg.resume:
            fetch_pretrained(cfg)
        record_license(cfg)
        _check_start(cfg, prepared)
        pixels = {} if skip_data_check else check_data(prepared.own_datasets())
        console = None if verbose else training_console(prepared, pixels, cfg_options or {})
        with alone(), _explaining_full_disk(folder):
            runner = build_runner(cfg, verbose)
            if cfg.resume:
                leave_out_initialization(runner.model)
            if is_main_process():
                if overwrite and not cfg.resume:
                    _forget_earlier_run(folder, cfg.get("load_from"))
                if prepared.split is not None:
                    write_json(folder / SPLIT_FILE, prepared.split.to_json())
                before = read_environment(folder) if cfg.resume else {}
                content = environment(cfg, config, prepared.split, training, before)
                write_json(folder / ENVIRONMENT, content)
            for line in missing_extras(prepared):
                runner.logger.warning(f"without: {line}")
            _run(runner, console)
            if is_main_process():
                print(_result(runner, folder))
    return folder


def _run(runner: Runner, console: ConsoleHook | None) -> None:
    """Trains, and leaves no signal handlers and no data workers behind, however it ended."""
    if console:
        runner.register_hook(console)
    others = multiprocessing.active_children()
    try:
        with explaining_lost_workers():
            runner.train()
    finally:
        end_workers(others)
        if console:
            console.close()
        for hook in runner.hooks:
            if isinstance(hook, PreemptionHook):
                hook.release()


def _result(runner: Runner, folder: Path) -> str:
    """Says how good the best checkpoint was when it was validated, and what to do with it."""
    info = runner.message_hub.runtime_info
    lines = []
    if found := info.get(BEST_VALIDATION) or info.get(VALIDATION):
        lines.append(validation_summary(found, "validation, percent"))
    if list(folder.glob("[!.]*.pth")):
        best = best_checkpoint(folder)
        lines += [
            "next:  score it on the test part, and map the damage on photographs",
            f"       mmseg-heritage test {best}",
            f"       mmseg-heritage predict {best} PHOTOS --out DIR",
        ]
    return "\n".join(lines)


def _turn_amp_on(cfg: Config) -> None:
    """Makes the optimizer wrapper one of mixed precision; one that is, is left as it is."""
    cfg.optim_wrapper.type = "DeviceAmpOptimWrapper"
    if cfg.optim_wrapper.get("dtype") == "float32":
        cfg.optim_wrapper.dtype = "auto"


def _set_resume(cfg: Config, folder: Path, resume: str | None, overwrite: bool) -> None:
    """Decides what the run starts from, and guards the run that is already in the folder."""
    if resume is None:
        if (folder / LAST).exists() and not overwrite:
            raise InputError(
                f"{folder}: this folder already holds a run. Continue it with --resume, choose "
                "another --work-dir, or replace it with --overwrite"
            )
        cfg.resume = False
        return
    if resume == AUTO:
        latest = latest_whole_checkpoint(folder)
        cfg.resume = latest is not None
        if latest is None:
            print(f"{folder}: no checkpoint to resume from yet; starting from the beginning")
        else:
            cfg.load_from = str(latest)
        return
    if not Path(resume).expanduser().is_file():
        raise InputError(f"{resume}: no such checkpoint to resume from")
    cfg.resume = True
    cfg.load_from = str(Path(resume).expanduser().resolve())


@contextlib.contextmanager
def _explaining_full_disk(folder: Path) -> Iterator[None]:
    """Says what to do where the disk is full.

    Raises:
        InputError: Naming the checkpoint from which the run can go on.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        latest = latest_checkpoint(folder)
        rest = f"{latest} is whole" if latest else "no checkpoint has been written yet"
        raise InputError(
            f"{folder}: the disk is full or the quota is used up; {rest}. Make room and go on with "
            "--resume. A checkpoint needs room beside those that are kept "
            "(default_hooks.checkpoint.max_keep_ckpts)"
        ) from error


def _check_start(cfg: Config, prepared: Prepared) -> None:
    """Verifies that what the run starts from belongs to the model, before anything is written."""
    model = prepared.model
    start = cfg.get("load_from")
    if cfg.resume:
        checkpoint = check_fits(model, start)
        check_resumable(checkpoint, start)
        trained = meta_of(checkpoint, start).get("dataset_meta") or {}
        check_same_classes(trained, prepared.datasets["train"][0].metainfo["classes"], start)
        return
    check_pretrained(cfg, model.backbone)
    if start and "://" not in str(start):
        load_checkpoint_file(start)


def _forget_earlier_run(folder: Path, keep: str | None) -> None:
    """Removes what would be taken for the new run's: its mark, its best checkpoint, its scores.

    Checkpoints of single epochs stay until the new run writes its own of the same name.
    """
    scores = folder / EVALUATION_FOLDER / METRICS_FILE
    for path in [folder / LAST, folder / LIST, scores, *folder.glob("best_*.pth")]:
        if keep is None or path.resolve() != Path(keep).expanduser().resolve():
            path.unlink(missing_ok=True)
