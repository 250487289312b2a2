"""Stopping where training has gone wrong numerically, and saying on what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.engine.device_scalars import fetched, is_waited_for
from mmseg_heritage.engine.hooks.deferred_runtime_info_hook import ends_interval
from mmseg_heritage.errors import InputError
from mmseg_heritage.utils.files import write_json

_ADVICE = (
    "lower the learning rate, clip gradients (optim_wrapper.clip_grad) or train without mixed "
    "precision (optim_wrapper.dtype=float32), and go on with --resume CHECKPOINT"
)


@HOOKS.register_module()
class NanLossHook(Hook):
    """Stops the run at the first loss that is not finite, and counts skipped optimizer steps.

    The batch's images are written to ``nan_loss_iter_<iteration>.json`` in the run's folder, by
    each process that has such a loss. Losses on a device are read once in an interval, and before
    anything is validated or saved: it is not waited for in between, and the run stops that much
    later. Weights that are not finite, because a gradient overflowed where the loss did not, are
    not saved.

    Args:
        interval: Iterations after which the losses on a device are read, and the steps that
            float16 skipped are logged.
    """

    priority = "ABOVE_NORMAL"  # before EMA, logs and checkpoints see the weights

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._unread: list[_Iteration] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Checks the losses of one batch, or keeps them for the end of the interval."""
        images = [str(sample.img_path) for sample in data_batch["data_samples"]]
        rates = {name: values[0] for name, values in runner.optim_wrapper.get_lr().items()}
        losses = outputs or {}
        self._unread.append(_Iteration(runner.iter + 1, runner.epoch + 1, losses, images, rates))
        if not is_waited_for(losses) or ends_interval(self, runner, batch_idx, self.interval):
            self._check(runner)
        if self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner):
            _log_skipped_steps(runner)

    def before_val(self, runner: Runner) -> None:
        """Checks before a model that is lost is validated."""
        self._check(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Refuses to write a checkpoint from which no run could go on."""
        self._check(runner)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        names, weights = zip(*model.named_parameters(), strict=True)
        finite = torch.stack([weight.isfinite().all() for weight in weights]).tolist()
        wrong = [name for name, is_finite in zip(names, finite, strict=True) if not is_finite]
        if wrong:
            raise InputError(
                f"weights are not finite around iteration {runner.iter + 1}, though its loss is: a "
                f"gradient has overflowed. They are not saved; {_ADVICE}",
                wrong,
            )

    def _check(self, runner: Runner) -> None:
        """Stops at the first iteration that has a loss which is not finite."""
        values = fetched([iteration.losses for iteration in self._unread])
        for iteration, losses in zip(self._unread, values, strict=True):
            if not all(map(math.isfinite, losses.values())):
                _stop(runner, iteration, losses)
        self._unread.clear()


@dataclass(frozen=True)
class _Iteration:
    """What is to be told of an iteration, should its loss not be finite."""

    number: int
    epoch: int
    losses: Mapping[str, Any]
    images: list[str]
    learning_rate: dict[str, float]


def _stop(runner: Runner, iteration: _Iteration, losses: Mapping[str, float]) -> None:
    """Writes down the batch and raises."""
    rank = get_rank()
    process = f"_rank_{rank}" if rank else ""
    path = Path(runner.work_dir) / f"nan_loss_iter_{iteration.number}{process}.json"
    dtype = getattr(runner.optim_wrapper, "cast_dtype", "float32")
    content = {
        "iteration": iteration.number,
        "epoch": iteration.epoch,
        "losses": {name: str(value) for name, value in losses.items()},
        "images": iteration.images,
        "learning_rate": iteration.learning_rate,
        "dtype": str(dtype).removeprefix("torch."),
    }
    write_json(path, content)
    raise InputError(
        f"the loss of iteration {iteration.number} is not finite: the run stops before its weights "
        f"are saved. The images of the batch are named in {path}. If they are in order: {_ADVICE}",
        [f"{name}: {value}" for name, value in losses.items() if not math.isfinite(value)],
    )


def _log_skipped_steps(runner: Runner) -> None:
    """Logs how many optimizer steps were skipped since the run began, where any can be."""
    wrapper = runner.optim_wrapper
    if not hasattr(wrapper, "skipped_steps") or not wrapper.loss_scaler.is_enabled():
        return
    skipped, scale = wrapper.skipped_steps, wrapper.loss_scaler.get_scale()
    scalars = {"skipped_steps": skipped, "loss_scale": scale}
    runner.visualizer.add_scalars(scalars, step=runner.iter + 1)
    runner.logger.info(f"float16: {skipped} optimizer steps skipped so far, loss scale {scale:g}")
