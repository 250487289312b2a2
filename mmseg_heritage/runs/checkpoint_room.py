"""Room on the disk for the checkpoints of a training, looked at before it starts."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import print_log

from mmseg_heritage.errors import InputError
from mmseg_heritage.runs.config.variables import find_dicts
from mmseg_heritage.utils.text import readable_size

_COPIES = {"SGD": 1, "Adam": 2, "AdamW": 2, "NAdam": 2, "RAdam": 2, "Adamax": 2}
"""Numbers that an optimizer keeps for each weight; others are taken to keep none."""


def check_room(cfg: Config, model: torch.nn.Module) -> None:
    """Holds the free disk of a training's folder against its checkpoints.

    Less room than all of them may take is only told, in a line: other files may go meanwhile.

    Args:
        cfg: The config of the training, with ``work_dir``.
        model: The built model.

    Raises:
        InputError: If not even one checkpoint fits.
    """
    hook = (cfg.get("default_hooks") or {}).get("checkpoint")
    if not hook:
        return
    folder = Path(hook.get("out_dir") or cfg.work_dir)
    size, number = checkpoint_size(cfg, model), _number(cfg, hook)
    number = max(1, number - len(list(folder.glob("*.pth"))))  # which are there already
    free = shutil.disk_usage(next(p for p in (folder, *folder.absolute().parents) if p.is_dir()))
    left = f"the disk has {readable_size(free.free)} left"
    if size > free.free:
        raise InputError(
            f"{folder}: a checkpoint of this training takes {readable_size(size)}, but {left}. "
            "Make room, or give a folder on another disk with --work-dir"
        )
    if number * size > free.free:
        print_log(
            f"{folder}: {number} more checkpoints may be there at once, of {readable_size(size)} "
            f"each: {readable_size(number * size)} in all, but {left}. Make room, give a folder on "
            "another disk with --work-dir, or keep fewer (default_hooks.checkpoint.max_keep_ckpts)",
            "current",
            logging.WARNING,
        )


def checkpoint_size(cfg: Config, model: torch.nn.Module) -> int:
    """Returns the bytes that a checkpoint takes at least: weights, averages and the optimizer's."""
    weights = sum(t.nbytes for t in model.state_dict().values() if isinstance(t, torch.Tensor))
    hook, optimizer = cfg.default_hooks.checkpoint, cfg.optim_wrapper.get("optimizer") or {}
    averaged = any("EMAHook" in str(h.get("type")) for h in find_dicts(
        cfg.get("custom_hooks"), has="type"))  # fmt: skip
    copies = _COPIES.get(str(optimizer.get("type")), 0)
    if optimizer.get("type") == "SGD" and not optimizer.get("momentum"):
        copies = 0
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    kept = copies * trained if hook.get("save_optimizer", True) else 0
    return weights * (2 if averaged else 1) + kept


def _number(cfg: Config, hook: Config) -> int:
    """Returns how many checkpoints there may be at once: kept, best, and the one being written."""
    best = hook.get("save_best") or []
    number = 1 + (1 if isinstance(best, str) else len(best))
    kept = hook.get("max_keep_ckpts", 2 if hook.get("type") == "WholeCheckpointHook" else -1)
    length = cfg.train_cfg.get("max_epochs" if hook.get("by_epoch", True) else "max_iters") or 1
    interval = hook.get("interval", -1)
    written = -(-length // interval) if interval > 0 else 1
    return number + (written if kept < 0 else min(kept, written))
