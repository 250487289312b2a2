"""How fast a run trains, what it waits for, and how much memory it takes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_heritage.utils.distributed import is_main_process
from mmseg_heritage.utils.files import write_json

SUMMARY = "throughput.json"
_MIB = 2**20


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Measures images per second, the share of time spent waiting for data, memory and time left.

    An iteration lasts from the end of the previous one (all hooks included, a checkpoint too) to
    its own end; validation is not part of any. Waiting is what passes of it before the batch is
    there. The device is waited for at the ends of intervals only: their sums are exact, single
    iterations are not looked at. The first iterations of each process (compilation, choice of
    kernels, full caches) are left out of everything but the peaks of memory.

    Each interval goes to the log and, as ``throughput.<name>``, to the visualizer; the whole run to
    ``throughput.json`` in its folder. A resumed run reports what came after it was resumed.

    Args:
        interval: Iterations that are measured together.
        warmup_iters: Iterations at the start that are left out.
    """

    priority = "LOWEST"  # last in each iteration: what the other hooks take is not waiting for data

    def __init__(self, interval: int = 50, warmup_iters: int = 10) -> None:
        self.interval = interval
        self.warmup_iters = warmup_iters
        self._first = 0
        self._started: float | None = None
        self._mark = 0.0
        self._window = _Sums()
        self._run = _Sums()

    def before_train(self, runner: Runner) -> None:
        """Starts the clock."""
        self._first = runner.iter
        self._started = None
        self._window, self._run = _Sums(), _Sums()
        self._mark = time.perf_counter()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def before_train_epoch(self, runner: Runner) -> None:
        """Leaves out what is done between two epochs."""
        self._mark = time.perf_counter()

    def after_val(self, runner: Runner) -> None:
        """Leaves out the validation."""
        self._mark = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Notes when the batch is there."""
        self._window.waited += time.perf_counter() - self._mark

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Notes when the iteration is over, and reports at the end of an interval."""
        done = runner.iter + 1 - self._first
        is_last = runner.iter + 1 == runner.max_iters
        measured = done - self.warmup_iters
        ends = measured == 0 or (measured > 0 and (measured % self.interval == 0 or is_last))
        if ends:
            _synchronize()
        now = time.perf_counter()
        self._window.seconds += now - self._mark
        self._window.images += len(data_batch["data_samples"])
        self._window.iterations += 1
        self._mark = now
        if measured == 0:  # what came before is warm-up
            self._window = _Sums()
            self._started = now
        elif ends:
            self._report(runner)

    def after_train(self, runner: Runner) -> None:
        """Writes the summary of the run, unless it was over already when it was resumed."""
        if not is_main_process() or runner.iter == self._first:
            return
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
        write_json(
            Path(runner.work_dir) / SUMMARY,
            {
                "iterations": [self._first + 1, runner.iter],
                "warmup_iterations_left_out": min(self.warmup_iters, runner.iter - self._first),
                "iterations_measured": self._run.iterations,
                **(self._run.rates() if self._run.iterations else _NOT_MEASURED),
                **self._run.peaks,
                "processes": get_world_size(),
                "device": device,
                "dtype": str(getattr(runner.optim_wrapper, "cast_dtype", "float32")).removeprefix(
                    "torch."
                ),
                "definitions": _DEFINITIONS,
            },
        )

    def _report(self, runner: Runner) -> None:
        """Logs one interval, over all processes."""
        window = self._window
        window.gather()
        self._run.add(window)
        self._window = _Sums()
        self._mark = time.perf_counter()
        elapsed = self._mark - (self._started or self._mark)
        left = elapsed / self._run.iterations * (runner.max_iters - runner.iter - 1)
        scalars = {**window.rates(), **window.peaks, "seconds_left": left}
        runner.visualizer.add_scalars(
            {f"throughput.{name}": value for name, value in scalars.items()}, step=runner.iter + 1
        )
        memory = ", ".join(
            f"{name.removesuffix('_mib').replace('_', ' ')} {value:.0f} MiB"
            for name, value in window.peaks.items()
        )
        runner.logger.info(
            f"throughput of {window.iterations} iterations: {scalars['images_per_second']:.2f} "
            f"images/s, {100 * scalars['data_wait_share']:.0f} % of the time waiting for data; "
            f"{memory}; about {_duration(left)} left, validation included"
        )


_NOT_MEASURED = {"images_per_second": None, "seconds_per_iteration": None, "data_wait_share": None}
_DEFINITIONS = {
    "images_per_second": "of all processes, over the measured iterations, validation not included",
    "data_wait_share": "of the time of the iterations, on the process that waited most",
    "peaks": "since training began, of the process with the largest; on a CPU of the main "
    "process without its workers",
}


class _Sums:
    """What was measured over some iterations."""

    def __init__(self) -> None:
        self.iterations = 0
        self.images = 0.0
        self.seconds = 0.0
        self.waited = 0.0
        self.peaks: dict[str, float] = {}

    def gather(self) -> None:
        """Sums the images of all processes, and takes the largest of all else."""
        peaks = _memory()
        images = torch.tensor([self.images])
        largest = torch.tensor([self.seconds, self.waited, *peaks.values()])
        all_reduce(images)
        all_reduce(largest, op="max")
        self.images = images.item()
        self.seconds, self.waited, *values = largest.tolist()
        self.peaks = dict(zip(peaks, values, strict=True))

    def add(self, other: _Sums) -> None:
        """Adds an interval."""
        self.iterations += other.iterations
        self.images += other.images
        self.seconds += other.seconds
        self.waited += other.waited
        self.peaks = other.peaks  # peaks only rise

    def rates(self) -> dict[str, float]:
        """Returns what is reported of the times."""
        return {
            "images_per_second": self.images / self.seconds,
            "seconds_per_iteration": self.seconds / self.iterations,
            "data_wait_share": self.waited / self.seconds,
        }


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _memory() -> dict[str, float]:
    """Returns peaks of memory in MiB by name."""
    if torch.cuda.is_available():
        return {
            "peak_allocated_mib": torch.cuda.max_memory_allocated() / _MIB,
            "peak_reserved_mib": torch.cuda.max_memory_reserved() / _MIB,
        }
    if sys.platform == "win32":
        return {}
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_rss_mib": peak / _MIB if sys.platform == "darwin" else peak / 1024}


def _duration(seconds: float) -> str:
    """Returns 'h:mm:ss'."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
