"""Saying which classes the network really saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS
from numpy.typing import NDArray

from mmseg_heritage.taxonomy import IGNORE_INDEX
from mmseg_heritage.utils.tables import plain_table


@HOOKS.register_module()
class ClassFrequencyHook(Hook):
    """Counts the labels of all training batches and logs the share of each class.

    Counted is what is trained on: after crops, augmentation and repeated sampling, on all
    processes. Once an epoch (in iteration-based training: each time before validation) the log gets
    a table with the share of each class among the labeled pixels and the images that have it, and
    the visualizer the shares in percent as ``pixel_share.<class>``, and that of 255 among all
    pixels as ``pixel_share.ignored``. Counting begins again each time, so that a run resumed at the
    end of an epoch logs what the run that was not interrupted would have logged.

    Args:
        interval: Logs one epoch out of so many. In iteration-based training it logs, each time,
            what was counted over so many intervals of validation.
    """

    priority = "LOW"

    def __init__(self, interval: int = 1) -> None:
        self.interval = interval
        self._pixels = np.zeros(256, dtype=np.int64)
        self._images = np.zeros(256, dtype=np.int64)
        self._num_images = 0

    def before_train_epoch(self, runner: Runner) -> None:
        """Forgets what an earlier epoch counted."""
        self._reset()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Counts the labels of one batch."""
        for sample in data_batch["data_samples"]:
            counts = class_counts(sample.gt_sem_seg.data)
            self._pixels += counts
            self._images += counts > 0
            self._num_images += 1
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            every = self.interval * runner.train_loop.val_interval
            if self.every_n_train_iters(runner, every) or self.is_last_train_iter(runner):
                self._log(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Logs the epoch."""
        if isinstance(runner.train_loop, IterBasedTrainLoop):
            return
        if self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner):
            self._log(runner, runner.epoch + 1)

    def _reset(self) -> None:
        self._pixels[:] = 0
        self._images[:] = 0
        self._num_images = 0

    def _log(self, runner: Runner, step: int) -> None:
        """Sums over processes, and writes table and curves."""
        counts = torch.from_numpy(np.concatenate([self._pixels, self._images, [self._num_images]]))
        all_reduce(counts)
        pixels, images = counts.numpy()[:256], counts.numpy()[256:512]
        self._reset()
        classes = runner.train_dataloader.dataset.metainfo["classes"]
        shares = pixel_shares(pixels, len(classes))
        scalars = {f"pixel_share.{c}": float(s) for c, s in zip(classes, shares, strict=True)}
        scalars["pixel_share.ignored"] = float(100 * pixels[IGNORE_INDEX] / max(pixels.sum(), 1))
        runner.visualizer.add_scalars(scalars, step=step)
        table = _table(classes, shares, images)
        runner.logger.info(
            f"classes in the {int(counts[-1])} crops that were trained on "
            f"({scalars['pixel_share.ignored']:.1f} % of their pixels are 255):\n{table}"
        )


def class_counts(label: torch.Tensor) -> NDArray[np.int64]:
    """Counts each value of a label map.

    Args:
        label: Integers (1, H, W) in 0..255, on the CPU.

    Returns:
        int64 (256,).
    """
    counts: NDArray[np.int64] = torch.bincount(label.flatten(), minlength=256).numpy()
    return counts


def pixel_shares(pixels: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    """Returns the percent of each class among the pixels that have one; 0 where none has."""
    counts = pixels[:num_classes]
    shares: NDArray[np.float64] = 100 * counts / max(counts.sum(), 1)
    return shares


def _table(classes: Sequence[str], shares: NDArray[np.float64], images: NDArray[np.int64]) -> str:
    """Lays out shares and images of the classes."""
    rows = [[name, f"{shares[i]:.4f}", int(images[i])] for i, name in enumerate(classes)]
    return plain_table(["class", "percent of pixels", "images"], rows)
