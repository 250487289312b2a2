"""Training loops that go on in the middle of an epoch, with the samples that would have come."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.dist import get_rank
from mmengine.logging import print_log
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmseg.registry import LOOPS
from torch.utils.data import DataLoader

from mmseg_heritage.datasets.seeded import NumberedInfiniteSampler, NumberedSampler
from mmseg_heritage.utils.seeding import ITERATION, mix, seed_process
from mmseg_heritage.utils.text import counted

EPOCH_START = "epoch_start"
"""In the message hub, and so in checkpoints: [epoch, iteration at which it began]."""


def _seed_iteration(runner: Runner) -> None:
    """Seeds dropout and all else that the model draws, differently on each process."""
    seed_process(mix(runner.seed, ITERATION, runner.iter, get_rank()))


def _log_if_finished(done: int, wanted: int, unit: str) -> None:
    """Says that a resumed run had come to its end; nothing else would."""
    if done >= wanted:
        print_log(
            f"nothing is left to train: the run has {counted(wanted, unit)}, and the checkpoint "
            f"was written after {done}",
            logger="current",
            level=logging.WARNING,
        )


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's loop over epochs, which can also go on in the middle of one."""

    _first = 0  # position in its epoch of the first batch that is trained on

    def run(self) -> Any:
        """Trains the epochs that are left."""
        _log_if_finished(self._epoch, self._max_epochs, "epoch")
        return super().run()

    def run_epoch(self) -> None:
        """Trains what is left of an epoch."""
        hub, sampler = self.runner.message_hub, self.dataloader.sampler
        epoch, start = hub.runtime_info.get(EPOCH_START, (-1, 0))
        if epoch != self._epoch:
            start = self._iter
            hub.update_info(EPOCH_START, [self._epoch, start])
        self._first = self._iter - start
        if self._first and isinstance(sampler, NumberedSampler):
            self.runner.logger.info(f"going on after batch {self._first} of the epoch")
            sampler.start_at(self._first * self.dataloader.batch_size)
        super().run_epoch()

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Trains on a batch."""
        _seed_iteration(self.runner)
        super().run_iter(idx + self._first, data_batch)


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """mmengine's loop over iterations, without loading again what was trained on."""

    def run(self) -> Any:
        """Trains the iterations that are left."""
        _log_if_finished(self._iter, self._max_iters, "iteration")
        sampler = self.dataloader.sampler
        if self._iter > 0 and isinstance(sampler, NumberedInfiniteSampler):
            self.dataloader_iterator = _SkippedBatches(self.dataloader, self._iter)
        return super().run()

    def run_iter(self, data_batch: Sequence[dict]) -> None:
        """Trains on a batch."""
        _seed_iteration(self.runner)
        super().run_iter(data_batch)


class _SkippedBatches:
    """Stands in for the data loader's iterator where batches have been trained on.

    mmengine draws these and throws them away; here they are not loaded.
    """

    def __init__(self, dataloader: DataLoader, num_batches: int) -> None:
        self._dataloader = dataloader
        self._skipped = num_batches
        self._iterator: Iterator[Any] | None = None
        dataloader.sampler.start_at(num_batches * dataloader.batch_size)

    def __next__(self) -> Any:
        if self._skipped:
            self._skipped -= 1
            return None
        if self._iterator is None:
            self._iterator = iter(self._dataloader)
        return next(self._iterator)

    def skip_iter(self, num_batches: int) -> None:
        """As onedl-mmengine calls it, instead of drawing."""
        self._skipped -= num_batches
