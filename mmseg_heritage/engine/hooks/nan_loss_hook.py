"""Stopping where training has gone wrong numerically, and saying on what."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

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
    each process that has such a loss. No device is waited for: mmengine's RuntimeInfoHook has
    fetched the values of each iteration's losses already, and they are read from its log. Weights
    that are not finite, because a gradient overflowed where the loss did not, are not saved.

    Args:
        interval: Iterations after which the steps that float16 skipped are fetched and logged.
    """

    priority = "ABOVE_NORMAL"  # before EMA, logs and checkpoints see the weights

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Checks the losses of one batch."""
        scalars = runner.message_hub.log_scalars
        names = [name for name in outputs or () if f"train/{name}" in scalars]
        losses = {name: float(scalars[f"train/{name}"].current()) for name in names}
        if not all(map(math.isfinite, losses.values())):
            self._stop(runner, data_batch, losses)
        if self.every_n_train_iters(runner, self.interval) or self.is_last_train_iter(runner):
            _log_skipped_steps(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Refuses to write a checkpoint from which no run could go on."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        wrong = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
        if wrong:
            raise InputError(
                f"weights are not finite around iteration {runner.iter + 1}, though its loss is: a "
                f"gradient has overflowed. They are not saved; {_ADVICE}",
                wrong,
            )

    def _stop(self, runner: Runner, data_batch: Any, losses: dict[str, float]) -> None:
        """Writes down the batch and raises."""
        iteration, rank = runner.iter + 1, get_rank()
        process = f"_rank_{rank}" if rank else ""
        path = Path(runner.work_dir) / f"nan_loss_iter_{iteration}{process}.json"
        images = [str(sample.img_path) for sample in data_batch["data_samples"]]
        dtype = getattr(runner.optim_wrapper, "cast_dtype", "float32")
        rates = {name: values[0] for name, values in runner.optim_wrapper.get_lr().items()}
        content = {
            "iteration": iteration,
            "epoch": runner.epoch + 1,
            "losses": {name: str(value) for name, value in losses.items()},
            "images": images,
            "learning_rate": rates,
            "dtype": str(dtype).removeprefix("torch."),
        }
        write_json(path, content)
        raise InputError(
            f"the loss of iteration {iteration} is not finite: the run stops before its weights "
            f"are saved. The images of the batch are named in {path}. If they are in order: "
            f"{_ADVICE}",
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
