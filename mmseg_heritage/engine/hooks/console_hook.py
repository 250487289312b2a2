"""What the console shows while a run lasts: a line for each epoch, and a bar of the running one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.progress import Progress, progress_bar

_ABSENT = "-"


class ConsoleHook(Hook):
    """Prints a header, then one line for each epoch, on the main process.

    In iteration-based training there is a line for each validation. The time left is reckoned from
    the steps since the run began or went on, validation included. In a terminal, a bar on standard
    error shows the running epoch, validation or test, and goes when it is over.

    Args:
        scores: Of the validation, which to show: the first is that by which the best checkpoint is
            chosen, marked ``*`` where it is the best so far.
        header: Called when the model and the optimizer are built; its text is printed first.
    """

    priority = "LOWEST"  # after the hook that says which validation is the best

    def __init__(self, scores: Sequence[str], header: Callable[[Runner], str]) -> None:
        self._scores = tuple(scores)
        self._header = header
        self._bar = ExitStack()
        self._report: Progress = _nothing
        self._best: float | None = None
        self._first = 0
        self._started = 0.0
        self._epoch_began = 0
        self._line: list[str] | None = None  # of the epoch that is over and not validated yet

    def close(self) -> None:
        """Takes the bar away, however the run ended."""
        self._bar.close()
        self._report = _nothing

    def before_train(self, runner: Runner) -> None:
        """Prints the header, and that of the lines."""
        self._first, self._started = runner.iter, time.monotonic()
        self._best = runner.message_hub.runtime_info.get("best_score")  # of a resumed run
        self._epoch_began = runner.iter
        _print(self._header(runner))
        unit = "epoch" if _by_epoch(runner) else "step"
        _print(_aligned([unit, "loss", *self._scores, "best ", "time", "left"]))
        if not _by_epoch(runner):
            self._open(f"training, {runner.max_iters} steps")

    def before_train_epoch(self, runner: Runner) -> None:
        """Prints the line of an epoch that was not validated."""
        if _by_epoch(runner):
            self._flush()
            self._epoch_began = runner.iter
            self._open(f"epoch {runner.epoch + 1} of {runner.max_epochs}")

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Moves the bar on."""
        if _by_epoch(runner):
            self._report(batch_idx + 1, len(runner.train_dataloader))
        else:
            self._report(runner.iter + 1, runner.max_iters)

    def after_train_epoch(self, runner: Runner) -> None:
        """Notes the line, to which validation may add scores."""
        if _by_epoch(runner):
            self.close()
            self._line = self._begun(runner, runner.epoch + 1)

    def before_val_epoch(self, runner: Runner) -> None:
        """Shows the bar of a validation."""
        if self._line is None and not _by_epoch(runner):
            self._line = self._begun(runner, runner.iter)
        self._open("validation")

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Moves the bar on."""
        self._report(batch_idx + 1, len(runner.val_dataloader))

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Prints the line with its scores."""
        self.close()
        found = metrics or {}
        if self._line is not None:
            best = runner.message_hub.runtime_info.get("best_score")
            shown = [_percent(found.get(score)) for score in self._scores]
            mark = " " if best == self._best else "*"
            self._line[2:-2] = [*shown, _percent(best) + mark]
            self._best = best
            self._flush()
        if not _by_epoch(runner) and runner.iter < runner.max_iters:
            self._open(f"training, {runner.max_iters} steps")

    def after_train(self, runner: Runner) -> None:
        """Prints what is left."""
        self.close()
        self._flush()

    def before_test(self, runner: Runner) -> None:
        """Prints the header of a test."""
        _print(self._header(runner))

    def before_test_epoch(self, runner: Runner) -> None:
        """Shows the bar of a test."""
        self._open("testing")

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Moves the bar on."""
        self._report(batch_idx + 1, len(runner.test_dataloader))

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Takes the bar away."""
        self.close()

    def _open(self, title: str) -> None:
        self.close()
        if is_main_process() and sys.stderr.isatty():
            self._report = self._bar.enter_context(progress_bar(title, stays=False))

    def _begun(self, runner: Runner, number: int) -> list[str]:
        """Returns the line of the epoch or step with this number, without scores."""
        done = runner.iter
        losses = runner.message_hub.log_scalars.get("train/loss")
        seconds = time.monotonic() - self._started
        left = seconds / max(done - self._first, 1) * (runner.max_iters - done)
        steps = max(done - self._epoch_began, 1)
        self._epoch_began = done
        loss = f"{losses.mean(steps):.4f}" if losses else _ABSENT
        blanks = [_ABSENT] * len(self._scores)
        return [str(number), loss, *blanks, f"{_ABSENT} ", _clock(seconds), _clock(left)]

    def _flush(self) -> None:
        if self._line is not None:
            _print(_aligned(self._line))
            self._line = None


def _nothing(done: int, total: int) -> None:
    """A bar that is not shown."""


def _by_epoch(runner: Runner) -> bool:
    return hasattr(runner.train_loop, "run_epoch")


def _print(text: str) -> None:
    if is_main_process():
        print(text, flush=True)


def _aligned(cells: Sequence[str]) -> str:
    """Puts cells below those of other lines; scores are percent, and names may be long."""
    widths = [7, 8, *[10] * (len(cells) - 5), 7, 8, 8]
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _percent(value: float | None) -> str:
    return _ABSENT if value is None else f"{value:.2f}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
