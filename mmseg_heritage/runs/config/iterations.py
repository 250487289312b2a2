"""Turning a training by epochs into one by iterations."""

from __future__ import annotations

from typing import Any

_LOOPS = {"EpochBasedTrainLoop": "IterBasedTrainLoop", "ResumableEpochLoop": "ResumableIterLoop"}
_SAMPLERS = {"DefaultSampler": "InfiniteSampler", "NumberedSampler": "NumberedInfiniteSampler"}


def count_iterations(cfg: Any, max_iters: int) -> None:
    """Makes a training of ``max_iters`` iterations out of a config, validated ten times.

    Args:
        cfg: The config; loop, sampler, schedules, log and checkpoints are changed in place.
        max_iters: Iterations.
    """
    interval = max(1, max_iters // 10)
    max_epochs, before = cfg.train_cfg.get("max_epochs"), cfg.train_cfg.get("max_iters")
    loop = cfg.train_cfg.get("type", "EpochBasedTrainLoop")
    from mmengine.config import ConfigDict  # options of predict are read without it

    cfg.train_cfg = ConfigDict(
        type=_LOOPS.get(loop, loop), max_iters=max_iters, val_interval=interval
    )
    sampler = cfg.train_dataloader.get("sampler")
    if sampler is not None:
        sampler.type = _SAMPLERS.get(sampler.type, sampler.type)
        sampler.pop("round_up", None)
    for schedule in as_list(cfg.get("param_scheduler")):
        if not schedule.get("by_epoch", True) or not max_epochs:
            continue  # counts iterations already
        schedule.by_epoch = False
        schedule.pop("convert_to_iter_based", None)
        for bound in ("total_steps", "begin", "end", "T_max"):
            if schedule.get(bound):
                schedule[bound] = max(1, round(schedule[bound] * max_iters / max_epochs))
    for hook in as_list(cfg.get("custom_hooks")):
        if before and hook.get("begin_iter"):  # averaging of weights, after a share of the training
            hook.begin_iter = round(hook.begin_iter * max_iters / before)
    cfg.default_hooks.checkpoint.by_epoch = False
    cfg.default_hooks.checkpoint.interval = interval
    cfg.default_hooks.logger.log_metric_by_epoch = False
    cfg.log_processor.by_epoch = False


def as_list(value: Any) -> list[Any]:
    """Returns a config value that may be absent, one dict or a list of dicts as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
