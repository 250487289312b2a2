"""What a resumed run goes on from: its newest whole checkpoint, if it is the same run."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmseg_heritage.dataprep.splits.split import SPLIT_FILE, Split, load_split
from mmseg_heritage.engine.checkpoint_files import LAST, listed, located
from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.machine import images_per_step
from mmseg_heritage.utils.checkpoints.checkpoint import DamagedCheckpoint, load_checkpoint_file
from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.json_reading import form_problems, parse_json

ENVIRONMENT = "environment.json"
"""File in the run's folder, see :func:`mmseg_heritage.runs.environment.environment`."""

_PARTS = ("model", "train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler",
          "custom_hooks", "randomness")  # fmt: skip
# They differ from machine to machine, or are not used by a run that is resumed. What matters of
# batch_size is images_per_step: the same run may go on on another number of processes.
_NOT_COMPARED = {"batch_size", "num_workers", "persistent_workers", "prefetch_factor",
                 "timeout", "pin_memory", "data_root", "cache", "cache_dir", "init_cfg",
                 "pretrained", "checkpoint_path"}  # fmt: skip


def latest_checkpoint(folder: Path) -> Path | None:
    """Returns the checkpoint the run wrote last, also after its folder was moved or copied."""
    record = folder / LAST
    if not record.is_file():
        return None
    written = record.read_text().strip()
    latest = located(folder, written)
    if not latest.is_file():
        raise InputError(
            f"{record}: names {written}, which is gone. Give --resume a checkpoint file, or start "
            "again with --overwrite"
        )
    return latest


def best_checkpoint(folder: Path) -> Path:
    """Returns the checkpoint of a run that validation chose, or the last one if none was validated.

    Raises:
        InputError: If the folder holds no checkpoint.
    """
    best = sorted(folder.glob("best_*.pth"), key=lambda path: path.stat().st_mtime)
    found = best[-1] if best else latest_checkpoint(folder)
    if found is None:
        raise InputError(f"{folder}: no checkpoint here; train first")
    return found


def latest_whole_checkpoint(folder: Path) -> Path | None:
    """Returns the newest checkpoint of a run that can be read, and says which it skipped.

    Returns:
        None where the run has written none yet.

    Raises:
        InputError: If there are checkpoints and none can be read, or one carries code.
    """
    record = folder / LAST
    if not record.is_file():
        return None
    newest_first = [located(folder, record.read_text().strip()), *reversed(listed(folder))]
    problems: list[str] = []
    for path in dict.fromkeys(newest_first):
        try:
            _check_whole(path)
        except DamagedCheckpoint as error:
            problems.append(str(error))
            continue
        if problems and is_main_process():
            print("\n".join([*(f"skipped: {p}" for p in problems), f"going on from {path}"]))
        return path
    raise InputError(
        f"{folder}: none of this run's checkpoints can be read. Give --resume another file, or "
        "start again with --overwrite",
        problems,
    )


def _check_whole(path: Path) -> None:
    """Reads a checkpoint to its end.

    Raises:
        DamagedCheckpoint: If it is not there, cut short or changed.
        InputError: If it carries code.
    """
    if not path.is_file():
        raise DamagedCheckpoint(f"{path}: gone")
    load_checkpoint_file(path)  # verifies the check sums of all tensors


def training_config(cfg: Config) -> dict[str, Any]:
    """Returns the parts of a config that decide the weights, as JSON writes and reads them.

    Args:
        cfg: The config, on the processes that it will run on, see
            :func:`mmseg_heritage.runs.machine.fit_loaders`.
    """
    images = images_per_step(cfg)
    parts = {name: cfg[name] for name in _PARTS if cfg.get(name) is not None}
    return json.loads(json.dumps({**parts, "images_per_step": images}, default=str))


def check_same_run(folder: Path, config: dict[str, Any], split: Split | None) -> None:
    """Refuses to go on with another config or split than those of the run in a folder.

    Args:
        folder: Folder of the run.
        config: From :func:`training_config`.
        split: What would be trained on; None for a data set that has none.

    Raises:
        InputError: With every difference.
    """
    recorded = read_environment(folder).get("config")
    problems = list(differences(recorded, config, "", _NOT_COMPARED)) if recorded else []
    if split is not None and (folder / SPLIT_FILE).is_file():
        of_run = load_split(folder / SPLIT_FILE)
        if of_run.digest() != split.digest():
            problems.append(
                f"split: the run has '{of_run.name}', now '{split.name}' with other parts"
            )
    if problems:
        raise InputError(
            f"{folder}: holds a run of another config. Choose another --work-dir, give the config "
            "it was started with, or name a checkpoint (--resume FILE) to go on with the new one",
            problems,
        )


def read_environment(folder: Path) -> dict[str, Any]:
    """Returns what a run wrote about itself when it was started last; nothing if there is none.

    Raises:
        InputError: If the file was damaged: nobody could tell then whether it is the same run.
    """
    path = folder / ENVIRONMENT
    try:
        content = parse_json(path)
        problems = list(form_problems(content, {"config": ({}, None)}, "environment"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        content, problems = {}, [str(error)]
    if problems:
        raise InputError(
            f"{path}: expected what the run says of itself. To go on all the same, name a "
            "checkpoint (--resume FILE)",
            problems,
        )
    return dict(content)


_ABSENT = object()


def differences(old: Any, new: Any, key: str, left_out: Collection[str]) -> Iterator[str]:
    """Yields the fields in which two configs differ, in words.

    Args:
        old: Config of the run, or a part of it.
        new: What is given now.
        key: Dotted place of the part in the config.
        left_out: Names of fields that are not compared, at any depth.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            if name not in left_out:
                dotted = f"{key}.{name}" if key else name
                yield from differences(
                    old.get(name, _ABSENT), new.get(name, _ABSENT), dotted, left_out
                )
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{key}.{i}", left_out)
    elif old != new:
        yield f"{key}: the run has {_short(old)}, now {_short(new)}"


def _short(value: Any) -> str:
    text = "nothing" if value is _ABSENT else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
