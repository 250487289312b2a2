"""Saving and leaving in time when a cluster takes its machine back."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Collection
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

import torch
from mmengine.dist import all_reduce, barrier, get_world_size
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.engine.hooks.whole_checkpoint_hook import WholeCheckpointHook
from mmseg_heritage.errors import InputError

EXIT_PREEMPTED = 75
"""Exit code of a run that saved and left: EX_TEMPFAIL of sysexits.h, "try again later"."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1", "SIGTERM") if hasattr(signal, name))
"""What Slurm sends: the first on request (``--signal``), the second before it kills."""
WORKER_GRACE_SECONDS = 20


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves a checkpoint after the current iteration and exits when SIGUSR1 or SIGTERM comes.

    The exit code is :data:`EXIT_PREEMPTED`; ``--resume`` then goes on with the next iteration. A
    validation is finished first, so that the time between signal and kill must be longer than one.
    On several processes it is enough that one gets the signal.

    Args:
        interval: Iterations after which several processes ask each other; one process looks after
            each.

    Raises:
        InputError: If the config's CheckpointHook is not the one of this package.
    """

    priority = "LOWEST"  # after all that belongs to the iteration, the checkpoint included

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval
        self._signal: int | None = None
        self._process = os.getpid()
        self._earlier: dict[int, Any] = {}

    def before_run(self, runner: Runner) -> None:
        """Verifies that there is something to save with."""
        if not any(isinstance(hook, WholeCheckpointHook) for hook in runner.hooks):
            found = [type(h).__name__ for h in runner.hooks if isinstance(h, CheckpointHook)]
            raise InputError(
                f"PreemptionHook saves with WholeCheckpointHook, found {found or 'none'}; set "
                "default_hooks.checkpoint.type=WholeCheckpointHook or "
                "default_hooks.preemption=None"
            )

    def before_train(self, runner: Runner) -> None:
        """Listens for the signals."""
        if threading.current_thread() is not threading.main_thread():
            runner.logger.warning(
                "signals are not handled: training does not run in the main thread"
            )
            return
        self._process = os.getpid()
        self._signal = None
        self._earlier = {number: signal.signal(number, self._on_signal) for number in SIGNALS}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Leaves if a signal came during the iteration."""
        if get_world_size() == 1 or self.every_n_train_iters(runner, self.interval):
            self._exit_if_signaled(runner, runner.iter + 1)

    def before_val(self, runner: Runner) -> None:
        """Leaves if a signal came while an epoch was finished."""
        self._exit_if_signaled(runner, runner.iter)

    def after_val(self, runner: Runner) -> None:
        """Leaves if a signal came during validation."""
        self._exit_if_signaled(runner, runner.iter)

    def after_train(self, runner: Runner) -> None:
        """Stops listening."""
        self.release()

    def release(self) -> None:
        """Gives the signals back to who had them."""
        for number, handler in self._earlier.items():
            signal.signal(number, handler)
        self._earlier = {}

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Takes note; called between two instructions of whatever the process is doing."""
        if os.getpid() == self._process:
            self._signal = number
        else:  # a worker that was forked from this process and has not yet said so itself
            ignore_preemption_signals()
            signal.raise_signal(number)

    def _exit_if_signaled(self, runner: Runner, iteration: int) -> None:
        """Saves and exits, on all processes together."""
        if not self._earlier:
            return  # validation on its own
        received = torch.tensor([self._signal or 0])
        all_reduce(received, op="max")
        if not received.item():
            return
        name = signal.Signals(int(received.item())).name
        saver = next(hook for hook in runner.hooks if isinstance(hook, WholeCheckpointHook))
        saver.save_now(runner, runner.epoch, iteration)
        runner.logger.warning(
            f"{name}: saved {saver.last_ckpt} after iteration {iteration} and leave with exit code "
            f"{EXIT_PREEMPTED}; --resume goes on from there"
        )
        barrier()  # the first process that leaves may take the others with it
        self.release()
        raise SystemExit(EXIT_PREEMPTED)


@FUNCTIONS.register_module()
def ignore_preemption_signals(worker_id: int = 0) -> None:
    """Lets a data-loading worker live until its run has saved; a ``worker_init_fn``.

    Slurm signals every process of a job step. A worker that dies of it would take the run with it
    before the run has saved.
    """
    if sys.platform == "win32":
        return  # it has no such signals
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(WORKER_GRACE_SECONDS))


def end_workers(others: Collection[BaseProcess]) -> None:
    """Ends the data-loading workers of a run that is over.

    Python ends them with SIGTERM when it exits, and would wait until their grace is over.

    Args:
        others: Processes to leave alone: what ``multiprocessing.active_children()`` returned before
            the run.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return
    # torch's handler would take their end for an accident.
    earlier = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for process in set(multiprocessing.active_children()) - set(others):
        process.kill()
        process.join()
    signal.signal(signal.SIGCHLD, earlier or signal.SIG_DFL)
