"""Losses in the log, without waiting for the device in each iteration."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook, LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.engine.device_scalars import fetched, is_waited_for


@HOOKS.register_module()
class DeferredRuntimeInfoHook(RuntimeInfoHook):
    """Fetches losses from the device when a log, a validation or a checkpoint is to read them.

    mmengine's hook fetches each loss in each iteration: the process waits for the device, which
    then waits for the process to launch the next iteration. This one keeps losses on the device
    until they are read; the message hub, and what is written from it, hold the same values. On a
    CPU there is nothing to wait for, and each iteration is read at once.
    """

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keeps the losses, or hands them over with those that wait."""
        self._waiting.append(outputs or {})
        intervals = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        if not is_waited_for(self._waiting[-1]) or any(
            ends_interval(self, runner, batch_idx, interval) for interval in intervals or [1]
        ):
            self._hand_over(runner)

    def before_val(self, runner: Runner) -> None:
        """Hands over the losses, of which lines of validations show the mean."""
        self._hand_over(runner)
        super().before_val(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Puts the losses that wait into a checkpoint too."""
        if self._waiting:
            self._hand_over(runner)
            checkpoint["message_hub"] = runner.message_hub.state_dict()

    def _hand_over(self, runner: Runner) -> None:
        """Gives mmengine's hook the losses of each iteration, in their order."""
        for losses in fetched(self._waiting):
            super().after_train_iter(runner, 0, None, losses)  # it reads neither index nor batch
        self._waiting.clear()


def ends_interval(hook: Hook, runner: Runner, batch_idx: int, interval: int) -> bool:
    """Returns whether an iteration ends an interval (of epoch or run), an epoch, or the run."""
    return bool(
        hook.every_n_train_iters(runner, interval)
        or hook.every_n_inner_iters(batch_idx, interval)
        or hook.is_last_train_iter(runner)
        or hook.end_of_epoch(runner.train_dataloader, batch_idx)
    )
